#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "epskew/workload/spec.hpp"
#include "workload/capacity.hpp"

namespace epskew {

/// How many selections every expert gets, and what the record says about why.
struct PlannedCounts {
  std::vector<std::int64_t> experts;  ///< [E], dealable
  std::string distribution;
  std::map<std::string, double> parameters;
};

/// The law's curve over ranks; inside a rank the experts vary by the same law, in random order. `evenness`
/// from 0 to 1 moves the ranks other than the hot one from the law's curve to equal loads.
PlannedCounts plan_rank_level(const WorkloadSpec& spec, const Capacity& capacity, double evenness);

/// The law's curve over experts: logical expert 0 is the most popular, and so on down; the placement says
/// where they live (unset: random by the seed). With a factor the shape is the smallest at which this
/// placement has that factor over ranks, and what is left to the exact factor is made up rank by rank. Throws
/// UsageError with the bound where no shape of the family reaches the factor.
PlannedCounts plan_expert_level(const WorkloadSpec& spec, const Capacity& capacity);

/// The largest factor over ranks that any shape of the spec's law reaches under its placement.
double placed_factor(const WorkloadSpec& spec, const Capacity& capacity);

/// hot_experts random experts share hot_fraction of the selections evenly, the others the rest.
PlannedCounts plan_k_hot(const WorkloadSpec& spec, const Capacity& capacity);

/// hot_rank, rotating, burst and skew_across_nodes as a spec of the uniform family with a factor and, for
/// rotating, a hot rank; other specs as they are. Throws UsageError for a pattern without the factor it
/// needs, or with one it has no use for.
WorkloadSpec resolve_pattern(const WorkloadSpec& spec);

/// Ranks from the hottest to the coldest: random by the seed, but for a hot rank that is fixed.
std::vector<int> rank_order(const WorkloadSpec& spec);

}  // namespace epskew
