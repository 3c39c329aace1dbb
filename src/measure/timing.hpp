#pragma once

/// The timed part of a round in one process.

#include <functional>

#include "epskew/exchange/exchange.hpp"
#include "epskew/measure/round.hpp"
#include "measure/rank_report.hpp"

namespace epskew {

/// What happens around the iterations of a timing mode, outside what is timed; collective. Each may be empty.
struct TimingHooks {
  std::function<void()> before_mode;
  /// Before each of the last two iterations, where there are three or more, warm-up included.
  std::function<void()> before_last;
  std::function<void()> after_mode;
};

/// Warm-up and timed iterations in every timing mode; collective. The exchange has its inputs and expert
/// outputs after `before_mode`.
RankReport time_modes(Exchange& exchange, const RoundPlan& plan, const TimingHooks& hooks);

}  // namespace epskew
