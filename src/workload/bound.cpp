#include "workload/bound.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "epskew/support/error.hpp"
#include "workload/group_deal.hpp"

namespace epskew {

double feasible_factor(const WorkloadSpec& spec, const Capacity& capacity) {
  if (capacity.selections() == 0) return 1.0;
  int reach = 0;
  for (int rank = 0; rank < spec.num_ranks(); ++rank) {
    if (!spec.hot_rank || rank == *spec.hot_rank) reach = std::max(reach, reachable_experts(spec, rank));
  }
  const std::int64_t most = capacity.of_experts(reach);
  return static_cast<double>(most) * spec.num_ranks() / static_cast<double>(capacity.selections());
}

void refuse_factor(double factor, double bound, const std::string& why) {
  throw UsageError(fmt::format("--imbalance-factors {:g} is out of reach ({}); choose 1 to {:.2f}", factor,
                               why, std::floor(bound * 100.0) / 100.0));
}

std::int64_t hot_load(const WorkloadSpec& spec, const Capacity& capacity, double factor) {
  const double bound = feasible_factor(spec, capacity);
  if (!(factor >= 1.0)) refuse_factor(factor, bound, "the largest load is never below the mean");
  constexpr double rounding = 1e-12;
  if (factor > bound * (1.0 + rounding)) {
    refuse_factor(
        factor, bound,
        fmt::format("{} {} of {} experts can take at most {:.2f} at top-{}", spec.num_ranks(),
                    spec.imbalance_level == ImbalanceLevel::node ? "nodes" : "ranks",
                    spec.num_experts / spec.num_ranks(), std::floor(bound * 100.0) / 100.0, spec.topk));
  }
  const std::int64_t selections = capacity.selections();
  const double mean = static_cast<double>(selections) / spec.num_ranks();
  return std::max<std::int64_t>(std::llround(factor * mean),
                                (selections + spec.num_ranks() - 1) / spec.num_ranks());
}

}  // namespace epskew
