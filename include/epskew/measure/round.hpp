#pragma once

/// One round: oracle before, timing, oracle after, on one routing.

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "epskew/exchange/oracle.hpp"
#include "epskew/exchange/world.hpp"
#include "epskew/measure/samples.hpp"

namespace epskew {

struct RoundPlan {
  int warmup = 5;        ///< untimed iterations per timing mode
  int iterations = 200;  ///< timed iterations per timing mode: the fewest that give a p99
  bool flush_cache = true;
  std::uint64_t seed = 0;
};

struct RoundResult {
  std::optional<Mismatch> before;  ///< nullopt: the oracle agreed
  std::optional<Mismatch> after;
  std::array<SampleMatrix, num_phases> phases;  ///< by Phase
  SampleMatrix misalignment;                    ///< start minus first start
  std::vector<MemoryUse> memory;                ///< [num_ranks]
};

/// Collective over the world; the result is complete at the root only. `table` must fit the world's shape.
RoundResult run_round(World& world, const ExchangeShape& shape, const ExchangeOptions& options,
                      const RoutingTable& table, const RoundPlan& plan);

}  // namespace epskew
