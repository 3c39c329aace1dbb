#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "workload/capacity.hpp"

namespace epskew {

/// Splits every rank's load among its experts in proportion to `weights` ([experts], rank after rank), as
/// skewed as the tokens can take: where they cannot take it, the largest experts of all ranks are cut at one
/// common height and the cut is spread over their own rank. Precondition: the rank loads are dealable (see
/// rank_loads); then an equal split is, so there always is a solution.
std::vector<std::int64_t> expert_loads(const Capacity& capacity, std::span<const std::int64_t> rank_loads,
                                       std::span<const double> weights);

/// The same with a given height: no expert above it unless an equal split of its rank is.
std::vector<std::int64_t> expert_loads_below(std::int64_t height, std::span<const std::int64_t> rank_loads,
                                             std::span<const double> weights);

}  // namespace epskew
