#pragma once

#include "epskew/workload/spec.hpp"

namespace epskew {

/// uniform_floor where ranks get `mean` selections on average, enough for their loads to be near normal.
///
/// A rank's load has the variance of the draw in two stages: topk_groups of the groups, then topk of their
/// experts. The skewness is corrected by the second term of the Cornish–Fisher expansion. Ranks that share
/// one expert group vary together; where group borders cut through ranks that is left out of account.
double normal_floor(const WorkloadSpec& spec, double mean);

}  // namespace epskew
