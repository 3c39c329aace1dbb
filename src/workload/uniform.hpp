#pragma once

#include "epskew/workload/spec.hpp"
#include "epskew/workload/uniform_floor.hpp"
#include "workload/deal.hpp"

namespace epskew {

/// Fills `rows` with distinct experts drawn uniformly at random, token by token; with expert groups, from
/// topk_groups groups drawn uniformly. The factor is what comes out.
void draw_uniform(const Rows& rows, const WorkloadSpec& spec);

}  // namespace epskew
