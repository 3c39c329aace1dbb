#include "workload/rank_loads.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include "epskew/support/error.hpp"
#include "workload/apportion.hpp"

namespace epskew {
namespace {

bool fits(const std::vector<std::int64_t>& descending, const Capacity& capacity,
          std::int64_t experts_per_rank) {
  std::int64_t sum = 0;
  for (std::size_t j = 0; j < descending.size(); ++j) {
    sum += descending[j];
    if (descending[j] > descending[0]) return false;
    if (sum > capacity.of_experts(static_cast<std::int64_t>(j + 1) * experts_per_rank)) return false;
  }
  return true;
}

/// Goes down the curve and gives each rank its part of what is left, within what the previous rank got, what
/// the first j ranks can take together, and what the ranks after it could not take if it took less. Those
/// limits never cross: the capacity is concave in the number of ranks.
std::vector<std::int64_t> clamp_down_the_curve(const Capacity& capacity,
                                               std::span<const double> descending_curve, std::int64_t hot,
                                               std::int64_t experts_per_rank) {
  std::vector<double> weight_from(descending_curve.size() + 1, 0.0);
  for (std::size_t j = descending_curve.size(); j > 0; --j) {
    weight_from[j - 1] = weight_from[j] + descending_curve[j - 1];
  }
  std::vector<std::int64_t> loads = {hot};
  std::int64_t given = hot;
  for (std::size_t j = 1; j < descending_curve.size(); ++j) {
    const std::int64_t left = capacity.selections() - given;
    const auto ranks_left = static_cast<std::int64_t>(descending_curve.size() - j);
    const std::int64_t least = (left + ranks_left - 1) / ranks_left;
    const std::int64_t room =
        capacity.of_experts(static_cast<std::int64_t>(j + 1) * experts_per_rank) - given;
    const std::int64_t most = std::min(loads.back(), room);
    EPSKEW_ASSERT(least <= most);
    const double share = weight_from[j] > 0.0 ? descending_curve[j] / weight_from[j] : 0.0;
    loads.push_back(std::clamp(std::llround(static_cast<double>(left) * share), static_cast<long long>(least),
                               static_cast<long long>(most)));
    given += loads.back();
  }
  return loads;
}

}  // namespace

std::vector<std::int64_t> rank_loads(const Capacity& capacity, std::span<const double> curve,
                                     std::int64_t hot, std::int64_t experts_per_rank) {
  const std::vector<double> descending(curve.rbegin(), curve.rend());
  const std::span<const double> others = std::span(descending).subspan(1);
  std::vector<std::int64_t> loads = {hot};
  if (others.empty()) return loads;
  const std::int64_t left = capacity.selections() - hot;
  const std::vector<std::int64_t> rest = apportion(left, others, left);
  loads.insert(loads.end(), rest.begin(), rest.end());
  std::sort(loads.begin() + 1, loads.end(), std::greater<>());
  if (fits(loads, capacity, experts_per_rank)) return loads;
  return clamp_down_the_curve(capacity, descending, hot, experts_per_rank);
}

}  // namespace epskew
