#pragma once

/// One rank of a world of processes that nobody forked together: each makes its own arena, tells the others
/// where it is, and maps theirs.

#include "backends/cpu/cpu_exchange.hpp"
#include "epskew/backends/registry.hpp"

namespace epskew::cpu {

/// A base, so that it is there before the exchange that refers to it.
struct JoinedWorld {
  SharedWorld world;
};

class JoinedExchange final : private JoinedWorld, public CpuExchange {
 public:
  /// Waits for the other ranks. Throws RankLost naming the first that does not come within the timeout.
  JoinedExchange(const ExchangeShape& shape, const ExchangeOptions& options, const Membership& membership);
};

}  // namespace epskew::cpu
