#include "workload/normal_floor.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "workload/group_deal.hpp"

namespace epskew {
namespace {

double density(double z) {
  return std::exp(-0.5 * z * z) / std::sqrt(2.0 * std::acos(-1.0));
}

double normal_below(double z) {
  return 0.5 * std::erfc(-z / std::sqrt(2.0));
}

/// Mean and mean square of the largest of some standard normal numbers.
struct Largest {
  double mean = 0.0;
  double mean_square = 0.0;
};

/// n independent ones, by the trapezoidal rule on n phi Phi^(n-1).
Largest largest_of(int n) {
  constexpr double step = 1.0 / 32.0;
  Largest largest;
  for (double z = -9.0; z <= 9.0; z += step) {
    const double weight = step * n * density(z) * std::pow(normal_below(z), n - 1);
    largest.mean += z * weight;
    largest.mean_square += z * z * weight;
  }
  return largest;
}

/// Loads as sums of normal numbers around a common mean: one of variance `between` for every set of
/// `together` ranks, one of variance `own` for every rank.
struct Spread {
  double own = 0.0;
  double between = 0.0;
  int together = 1;

  double deviation() const { return std::sqrt(own + between); }
};

/// Probability that no number of one set exceeds x; all scaled to unit deviation.
double set_below(const Spread& spread, double x) {
  constexpr double step = 1.0 / 8.0;
  const double own = std::sqrt(spread.own) / spread.deviation();
  const double between = std::sqrt(spread.between) / spread.deviation();
  if (own == 0.0) return normal_below(x);
  double below = 0.0;
  for (double z = -6.0; z <= 6.0; z += step) {
    below += step * density(z) * std::pow(normal_below((x - between * z) / own), spread.together);
  }
  return below;
}

/// The numbers of `sets` sets, by sums over the steps of their distribution function.
Largest largest_in_sets(const Spread& spread, int sets) {
  constexpr double step = 1.0 / 8.0;
  Largest largest;
  double below = 0.0;
  for (double x = -8.0; x <= 9.0; x += step) {
    const double at = std::pow(set_below(spread, x), sets);
    const double middle = x - 0.5 * step;
    largest.mean += middle * (at - below);
    largest.mean_square += middle * middle * (at - below);
    below = at;
  }
  return largest;
}

/// Experts of [first, last) in each group that the range touches.
std::vector<int> overlaps(int first, int last, int group_size) {
  std::vector<int> counts;
  while (first < last) {
    const int end = std::min((first / group_size + 1) * group_size, last);
    counts.push_back(end - first);
    first = end;
  }
  return counts;
}

/// Variance of the selections that one token gives to experts of which each group holds so many: that of the
/// hypergeometric draw from the chosen groups, and that of how many of the experts are in them.
double variance_of_token(const WorkloadSpec& spec, const std::vector<int>& in_groups) {
  const double groups = spec.num_groups;
  const double chosen = spec.topk_groups;
  const double pool = chosen * (spec.num_experts / spec.num_groups);
  if (pool == 1.0) return 0.0;
  double sum = 0.0;
  double sum_of_squares = 0.0;
  for (const double count : in_groups) {
    sum += count;
    sum_of_squares += count * count;
  }
  const double mean = chosen * sum / groups;
  const double variance = groups == 1.0 ? 0.0
                                        : chosen * (groups - chosen) / (groups - 1.0) *
                                              (sum_of_squares / groups - sum * sum / groups / groups);
  const double topk = spec.topk;
  return topk * (pool - topk) / (pool - 1.0) * (mean / pool - (variance + mean * mean) / (pool * pool)) +
         topk * topk * variance / (pool * pool);
}

double mean_variance_of_ranks(const WorkloadSpec& spec) {
  const int experts_per_rank = spec.num_experts / spec.num_ranks();
  double sum = 0.0;
  for (int first = 0; first < spec.num_experts; first += experts_per_rank) {
    const auto in_groups = overlaps(first, first + experts_per_rank, spec.num_experts / spec.num_groups);
    sum += variance_of_token(spec, in_groups);
  }
  return sum / spec.num_ranks();
}

/// Of one token. Loads add up to a constant: they vary like sums of independent numbers around their mean.
Spread spread_of(const WorkloadSpec& spec) {
  const double ranks = spec.num_ranks();
  const double variance = mean_variance_of_ranks(spec);
  const int group_size = spec.num_experts / spec.num_groups;
  const int experts_per_rank = spec.num_experts / spec.num_ranks();
  const bool in_one_group = group_size > experts_per_rank && group_size % experts_per_rank == 0;
  if (!limits_groups(spec) || !in_one_group) return {variance * ranks / (ranks - 1.0), 0.0, 1};
  Spread spread;
  spread.together = group_size / experts_per_rank;
  const double a_rank_of_group = variance_of_token(spec, {group_size}) / spread.together;
  const double covariance_inside = (a_rank_of_group - variance) / (spread.together - 1.0);
  const double covariance_outside = -a_rank_of_group / (ranks - spread.together);
  spread.own = std::max(0.0, variance - covariance_inside);
  spread.between = std::max(0.0, covariance_inside - covariance_outside);
  return spread;
}

}  // namespace

double normal_floor(const WorkloadSpec& spec, double mean) {
  const Spread spread = spread_of(spec);
  const double tokens = mean * spec.num_ranks() / spec.topk;
  const double deviation = std::sqrt(tokens) * spread.deviation();
  if (deviation == 0.0) return 1.0;
  const double skewness = (1.0 - 2.0 / spec.num_ranks()) / deviation;
  const Largest largest = spread.together == 1 ? largest_of(spec.num_ranks())
                                               : largest_in_sets(spread, spec.num_ranks() / spread.together);
  return 1.0 + deviation / mean * (largest.mean + skewness / 6.0 * (largest.mean_square - 1.0));
}

}  // namespace epskew
