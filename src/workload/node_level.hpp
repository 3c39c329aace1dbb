#pragma once

/// Imbalance over nodes: sets of ranks_per_node consecutive ranks.

#include <cstdint>
#include <span>
#include <vector>

#include "epskew/workload/spec.hpp"
#include "workload/capacity.hpp"
#include "workload/planned_counts.hpp"

namespace epskew {

/// The spec whose ranks are what the factor is about: `spec` itself, or for ImbalanceLevel::node one rank a
/// node that has all tokens and experts of its ranks.
WorkloadSpec factor_places(const WorkloadSpec& spec);

/// Splits the load of every place evenly over the `parts` ranks it consists of; what does not divide goes to
/// the first. Experts split further the same way differ by at most one inside a place, as an even split of it
/// would.
std::vector<std::int64_t> split_evenly(std::span<const std::int64_t> loads, int parts);

/// Pattern::skew_in_nodes. Throws UsageError with the bound for a factor out of reach.
PlannedCounts plan_skew_in_nodes(const WorkloadSpec& spec, const Capacity& capacity);
/// The largest factor that it can reach.
double feasible_skew_in_nodes(const WorkloadSpec& spec, const Capacity& capacity);

}  // namespace epskew
