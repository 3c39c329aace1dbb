#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "workload/capacity.hpp"

namespace epskew {

/// Loads of the ranks in descending order: the first is `hot`, the others follow `curve` (ascending, its last
/// value being the hot rank's) up to integer rounding, none above `hot`, together dealable to the tokens when
/// a rank holds `experts_per_rank` experts. Where the curve asks for more than the ranks can take, the excess
/// moves down it. Precondition: ceil(mean) <= hot <= capacity.of_experts(experts_per_rank); then there always
/// is a solution.
std::vector<std::int64_t> rank_loads(const Capacity& capacity, std::span<const double> curve,
                                     std::int64_t hot, std::int64_t experts_per_rank);

}  // namespace epskew
