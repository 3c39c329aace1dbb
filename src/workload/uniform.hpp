#pragma once

#include <cstdint>
#include <span>

#include "epskew/workload/spec.hpp"
#include "workload/deal.hpp"

namespace epskew {

/// Fills `rows` with distinct experts drawn uniformly at random, token by token; with expert groups, from
/// topk_groups groups drawn uniformly. The factor is what comes out.
void draw_uniform(const Rows& rows, const WorkloadSpec& spec);

/// Mean imbalance factor of uniform random routing of the spec's ranks, experts and `selections` (after
/// masking).
///
/// Where ranks get 16 selections or more on average: a rank's load is near normal with the hypergeometric
/// variance S/R · (E - K)/(E - 1), whose skewness the second term of the Cornish–Fisher expansion corrects;
/// the mean maximum of R of them comes from integrating Phi^R. Below, and with expert groups wherever that is
/// cheap: the mean of a few routings drawn with a fixed seed, about 1 % accurate.
double uniform_floor(const WorkloadSpec& spec, std::int64_t selections);

}  // namespace epskew
