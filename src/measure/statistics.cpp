#include "epskew/measure/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "epskew/support/error.hpp"
#include "epskew/support/random.hpp"

namespace epskew {
namespace {

constexpr int num_resamples = 2000;
constexpr std::size_t min_samples_for_ratio = 5;
// The stream of the bootstrap; no other purpose draws from it.
constexpr std::uint64_t bootstrap_stream = 0x626f6f74;

bool all_finite(std::span<const double> samples) {
  return std::all_of(samples.begin(), samples.end(), [](double x) { return std::isfinite(x); });
}

// Type 7: the order statistics at h = (n - 1) q, interpolated. Reorders `values`, which must not be empty.
double quantile(std::vector<double>& values, double q) {
  const double h = static_cast<double>(values.size() - 1) * q;
  const auto below = static_cast<std::ptrdiff_t>(h);
  const auto at = values.begin() + below;
  std::nth_element(values.begin(), at, values.end());
  if (at + 1 == values.end()) return *at;
  const double next = *std::min_element(at + 1, values.end());
  return *at + (h - static_cast<double>(below)) * (next - *at);
}

double resampled_quantile(std::span<const double> samples, double q, RandomStream& random,
                          std::vector<double>& scratch) {
  scratch.resize(samples.size());
  for (double& value : scratch) value = samples[random.below(static_cast<std::uint32_t>(samples.size()))];
  return quantile(scratch, q);
}

std::vector<double> bootstrap_ratios(std::span<const double> numerator, std::span<const double> denominator,
                                     double q, std::uint64_t seed) {
  RandomStream random(seed, bootstrap_stream);
  std::vector<double> scratch;
  std::vector<double> ratios(num_resamples);
  for (double& ratio : ratios) {
    const double top = resampled_quantile(numerator, q, random, scratch);
    ratio = top / resampled_quantile(denominator, q, random, scratch);
  }
  return ratios;
}

}  // namespace

int min_samples_for(double q) {
  EPSKEW_EXPECT(q > 0 && q < 1);
  const double tail = q >= 0.5 ? 1 - q : q;
  // 1 - 0.99 is a little more than 1/100 in binary; the count is meant for the decimal.
  return static_cast<int>(std::ceil(2 / tail - 1e-9));
}

std::optional<double> percentile(std::span<const double> samples, double q) {
  if (samples.size() < static_cast<std::size_t>(min_samples_for(q)) || !all_finite(samples))
    return std::nullopt;
  std::vector<double> values(samples.begin(), samples.end());
  return quantile(values, q);
}

Summary summarise(std::span<const double> samples) {
  Summary summary;
  if (samples.empty() || !all_finite(samples)) return summary;
  const auto [min, max] = std::minmax_element(samples.begin(), samples.end());
  summary.mean = std::accumulate(samples.begin(), samples.end(), 0.0) / static_cast<double>(samples.size());
  summary.min = *min;
  summary.max = *max;
  summary.p50 = percentile(samples, 0.5);
  summary.p90 = percentile(samples, 0.9);
  summary.p99 = percentile(samples, 0.99);
  return summary;
}

std::optional<RatioInterval> ratio_of_quantiles(std::span<const double> numerator,
                                                std::span<const double> denominator, double q,
                                                std::uint64_t seed) {
  if (std::min(numerator.size(), denominator.size()) < min_samples_for_ratio) return std::nullopt;
  const auto top = percentile(numerator, q);
  const auto bottom = percentile(denominator, q);
  // Times are positive; a clock that saw no time pass at all supports no ratio.
  if (!top || !bottom || *std::min_element(denominator.begin(), denominator.end()) <= 0) return std::nullopt;
  std::vector<double> ratios = bootstrap_ratios(numerator, denominator, q, seed);
  return RatioInterval{*top / *bottom, quantile(ratios, 0.025), quantile(ratios, 0.975)};
}

std::optional<RatioInterval> ratio_of_medians(std::span<const double> numerator,
                                              std::span<const double> denominator, std::uint64_t seed) {
  return ratio_of_quantiles(numerator, denominator, 0.5, seed);
}

}  // namespace epskew
