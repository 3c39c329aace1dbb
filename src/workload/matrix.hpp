#pragma once

#include "epskew/workload/spec.hpp"
#include "workload/deal.hpp"

namespace epskew {

/// Deals every source rank's tokens so that spec.matrix[source][destination] selections go to each
/// destination; the experts of a destination share them evenly. Throws UsageError unless every row sums to
/// the rank's selections after masking and its tokens can take it.
void deal_matrix(const Rows& rows, const WorkloadSpec& spec);

}  // namespace epskew
