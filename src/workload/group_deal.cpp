#include "workload/group_deal.hpp"

#include <algorithm>
#include <functional>
#include <numeric>
#include <vector>

#include "workload/capacity.hpp"
#include "workload/visit_quotas.hpp"

namespace epskew {
namespace {

/// What one group has to take.
struct Demand {
  std::int64_t total = 0;
  std::int64_t least_visits = 0;  ///< for its largest expert and for its total
};

std::vector<Demand> demands_of(std::span<const std::int64_t> experts, int num_groups) {
  const std::size_t size = experts.size() / static_cast<std::size_t>(num_groups);
  const auto most_a_visit = static_cast<std::int64_t>(size);
  std::vector<Demand> demands;
  for (std::size_t first = 0; first < experts.size(); first += size) {
    const auto own = experts.subspan(first, size);
    const std::int64_t total = std::accumulate(own.begin(), own.end(), std::int64_t{0});
    demands.push_back({total, std::max(*std::max_element(own.begin(), own.end()),
                                       (total + most_a_visit - 1) / most_a_visit)});
  }
  return demands;
}

/// Visits of every group: in proportion to its total, but no fewer than it needs and no more than there are
/// tokens. Empty where the needs exceed the slots.
std::vector<std::int64_t> visits_of(const std::vector<Demand>& demands, std::int64_t slots,
                                    std::int64_t tokens) {
  const auto sum_at = [&](double scale) {
    std::int64_t sum = 0;
    for (const Demand& d : demands) {
      sum +=
          std::clamp(static_cast<std::int64_t>(scale * static_cast<double>(d.total)), d.least_visits, tokens);
    }
    return sum;
  };
  for (const Demand& d : demands) {
    if (d.least_visits > tokens) return {};
  }
  if (sum_at(0.0) > slots) return {};
  double low = 0.0;
  double high = 1.0;  // a visit a selection
  for (int i = 0; i < 60; ++i) {
    const double middle = 0.5 * (low + high);
    (sum_at(middle) <= slots ? low : high) = middle;
  }
  std::vector<std::int64_t> visits;
  for (const Demand& d : demands) {
    visits.push_back(
        std::clamp(static_cast<std::int64_t>(low * static_cast<double>(d.total)), d.least_visits, tokens));
  }
  std::int64_t left = slots - std::accumulate(visits.begin(), visits.end(), std::int64_t{0});
  // What rounding left, a visit each; then idle visits wherever a token has none yet.
  while (left > 0) {
    for (std::int64_t& own : visits) {
      if (left == 0 || own == tokens) continue;
      ++own;
      --left;
    }
  }
  return visits;
}

/// Deals the experts of one group to its visitors and appends them to the rows.
bool deal_group(const Rows& rows, const Visits& visits, std::int32_t group,
                std::span<const std::int64_t> experts, std::vector<std::uint8_t>& filled,
                std::uint64_t seed) {
  const auto width = static_cast<std::size_t>(visits.width);
  std::vector<std::uint8_t> quota(rows.degrees.size(), 0);
  for (std::size_t i = 0; i < visits.groups.size(); ++i) {
    if (i % width < visits.count[i / width] && visits.groups[i] == group) quota[i / width] = visits.quota[i];
  }
  const int most = quota.empty() ? 0 : *std::max_element(quota.begin(), quota.end());
  if (most == 0) return true;
  if (!Capacity(quota, most).can_deal(experts)) return false;
  std::vector<std::int32_t> dealt(quota.size() * static_cast<std::size_t>(most));
  deal({dealt, quota, most}, experts, seed + static_cast<std::uint64_t>(group) + 1);
  const auto first_expert = static_cast<std::int32_t>(experts.size()) * group;
  for (std::size_t token = 0; token < quota.size(); ++token) {
    for (std::size_t i = 0; i < quota[token]; ++i) {
      const std::int32_t expert = first_expert + dealt[token * static_cast<std::size_t>(most) + i];
      rows.experts[token * static_cast<std::size_t>(rows.topk) + filled[token]++] = expert;
    }
  }
  return true;
}

}  // namespace

int reachable_experts(const WorkloadSpec& spec, int rank) {
  const int experts_per_rank = spec.num_experts / spec.num_ranks();
  const int group_size = spec.num_experts / spec.num_groups;
  std::vector<int> overlaps;
  for (int expert = rank * experts_per_rank; expert < (rank + 1) * experts_per_rank;) {
    const int end = std::min((expert / group_size + 1) * group_size, (rank + 1) * experts_per_rank);
    overlaps.push_back(end - expert);
    expert = end;
  }
  std::sort(overlaps.begin(), overlaps.end(), std::greater<>());
  const auto reached = std::min(overlaps.size(), static_cast<std::size_t>(spec.topk_groups));
  return std::accumulate(overlaps.begin(), overlaps.begin() + static_cast<std::ptrdiff_t>(reached), 0);
}

bool deal_grouped(const Rows& rows, const WorkloadSpec& spec, std::span<const std::int64_t> expert_counts,
                  std::uint64_t seed) {
  Visits visits;
  visits.width = std::min(spec.topk_groups, rows.topk);
  for (const std::uint8_t degree : rows.degrees) {
    visits.count.push_back(static_cast<std::uint8_t>(std::min<int>(degree, visits.width)));
  }
  const std::vector<Demand> demands = demands_of(expert_counts, spec.num_groups);
  const Capacity slots(visits.count, visits.width);
  const std::vector<std::int64_t> visits_per_group =
      visits_of(demands, slots.selections(), slots.of_experts(1));
  if (visits_per_group.empty() || !slots.can_deal(visits_per_group)) return false;
  visits.groups.assign(visits.count.size() * static_cast<std::size_t>(visits.width), 0);
  deal({visits.groups, visits.count, visits.width}, visits_per_group, seed);
  std::vector<std::int64_t> totals;
  for (const Demand& demand : demands) totals.push_back(demand.total);
  const int group_size = spec.num_experts / spec.num_groups;
  if (!set_quotas(visits, rows.degrees, totals, std::min(group_size, 255), seed)) return false;
  std::vector<std::uint8_t> filled(rows.degrees.size(), 0);
  for (std::int32_t group = 0; group < spec.num_groups; ++group) {
    const auto own =
        expert_counts.subspan(static_cast<std::size_t>(group) * static_cast<std::size_t>(group_size),
                              static_cast<std::size_t>(group_size));
    if (!deal_group(rows, visits, group, own, filled, seed)) return false;
  }
  return true;
}

}  // namespace epskew
