#pragma once

/// The timed part of a round in one process.

#include <functional>

#include "epskew/exchange/exchange.hpp"
#include "epskew/measure/round.hpp"
#include "measure/rank_report.hpp"

namespace epskew {

/// Warm-up and timed iterations in every timing mode; collective. `after_mode` is called when a mode's last
/// iteration is done. The exchange has its inputs and expert outputs already.
RankReport time_modes(Exchange& exchange, const RoundPlan& plan,
                      const std::function<void(TimingMode)>& after_mode);

}  // namespace epskew
