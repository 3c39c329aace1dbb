#pragma once

#include <map>
#include <string>

#include "epskew/routing/routing_table.hpp"
#include "epskew/workload/spec.hpp"

namespace epskew {

/// A routing and what its record has to say about where it came from.
struct Workload {
  RoutingTable table;
  std::string distribution;  ///< family or pattern name, "uniform", "trace"
  std::map<std::string, double>
      parameters;  ///< the law's solved shape and whatever else the distribution has
  std::uint64_t seed = 0;
  ImbalanceLevel imbalance_level = ImbalanceLevel::rank;  ///< what the two below are about
  double feasible_max = 0;                                ///< the largest factor this shape can reach
  double uniform_floor = 0;  ///< mean factor of uniform random routing of the same shape
};

/// Generates the routing of a spec: exact (DESIGN §2) unless sampling is multinomial or no factor is set.
///
/// Deterministic: a function of the spec alone. Throws UsageError for a spec that cannot be met, with the
/// bound. The hot rank's load is max(round(factor · mean), ceil(mean)).
Workload generate(const WorkloadSpec& spec);

/// The largest factor that the spec can be given; its own is ignored. That is Workload::feasible_max, or less
/// where a law over experts does not reach it under its placement. Throws UsageError for a shape that makes
/// no sense.
double reachable_factor(const WorkloadSpec& spec);

}  // namespace epskew
