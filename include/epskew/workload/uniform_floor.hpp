#pragma once

#include <cstdint>

#include "epskew/workload/spec.hpp"

namespace epskew {

/// Mean imbalance factor of uniform random routing of the spec's ranks, experts and `selections` (after
/// masking).
///
/// Where ranks get 16 selections or more on average: a rank's load is near normal with the hypergeometric
/// variance S/R · (E - K)/(E - 1), whose skewness the second term of the Cornish–Fisher expansion corrects;
/// the mean maximum of R of them comes from integrating Phi^R; expert groups are left out of account. Below 16: the
/// mean of a few routings drawn with a fixed seed, about 1 % accurate.
double uniform_floor(const WorkloadSpec& spec, std::int64_t selections);

}  // namespace epskew
