#pragma once

#include <cstdint>

#include "epskew/workload/spec.hpp"

namespace epskew {

/// Mean imbalance factor of uniform random routing of the spec's ranks, experts and `selections` (after
/// masking).
///
/// Where ranks get 16 selections or more on average: loads are near normal with the variance of drawing
/// topk_groups groups and then topk of their experts (without groups the hypergeometric S/R · (E - K)/(E -
/// 1)), corrected for skewness by the second term of the Cornish–Fisher expansion; the mean maximum is
/// integrated. Below 16: the mean of a few routings drawn with a fixed seed. Either is about 1 % accurate.
double uniform_floor(const WorkloadSpec& spec, std::int64_t selections);

}  // namespace epskew
