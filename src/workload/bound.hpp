#pragma once

#include <cstdint>
#include <string>

#include "epskew/workload/spec.hpp"
#include "workload/capacity.hpp"

namespace epskew {

/// R · (the most one rank can take) / S; 1 where there are no selections. With expert groups of which a token
/// reaches some, that is the best rank, or the hot rank where that is fixed.
double feasible_factor(const WorkloadSpec& spec, const Capacity& capacity);

/// max(round(factor · mean), ceil(mean)). Throws UsageError for a factor that is NaN, below 1 or above the
/// feasible one.
std::int64_t hot_load(const WorkloadSpec& spec, const Capacity& capacity, double factor);

/// "--imbalance-factors <factor> is out of reach (<why>); choose 1 to <bound, rounded down>".
[[noreturn]] void refuse_factor(double factor, double bound, const std::string& why);

}  // namespace epskew
