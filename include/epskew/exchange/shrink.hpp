#pragma once

/// Failures: rank processes that kill or stop themselves in the middle of an exchange (ranks that share a
/// process stop taking part), and whether the others still get right results for what is left.

#include <cstdint>
#include <vector>

#include "epskew/exchange/world.hpp"
#include "epskew/routing/routing_table.hpp"

namespace epskew {

enum class LossPoint {
  dispatch,  ///< before dispatch_send
  between,   ///< after dispatch_recv, before combine_send
  combine    ///< after combine_send, before combine_recv
};

struct PlannedLoss {
  int rank = 0;
  int operation = 0;
  LossPoint point = LossPoint::dispatch;
  bool stop = false;  ///< SIGSTOP: it hangs; else SIGKILL: it dies
  int after_us = 0;   ///< so long after the point, wherever the rank is then
};
/// As DeepEP's test: one rank at dispatch, one between, one at combine, and one that hangs, in operations 1,
/// 3, 5 and 7, as long as two ranks remain.
std::vector<PlannedLoss> default_losses(int num_ranks);

struct ShrinkResult {
  std::vector<LostRank> lost;           ///< in the order of loss
  std::int64_t checked_operations = 0;  ///< by all survivors together, every one of them right
};

/// Runs operations until two after the last planned loss; every survivor checks every dispatch and combine
/// against the oracle of the ranks that are left. `world` was made with ExchangeOptions::shrink, and its
/// ranks are a process each or share one that knows Exchange::stop_rank. Throws WrongResult, and UsageError
/// where the losses do not fit the world.
ShrinkResult run_shrink_test(World& world, const RoutingTable& table, const ExchangeShape& shape,
                             const ExchangeOptions& options, const std::vector<PlannedLoss>& losses,
                             std::uint64_t seed);

}  // namespace epskew
