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

/// Which passes a resample is made of. One pass needs no drawing.
void draw_passes(std::vector<int>& drawn, RandomStream& random) {
  const auto passes = static_cast<std::uint32_t>(drawn.size());
  for (int& pass : drawn) pass = passes == 1 ? 0 : static_cast<int>(random.below(passes));
}

double resampled_quantile(PassedSamples samples, const std::vector<int>& drawn, double q,
                          RandomStream& random, std::vector<double>& scratch) {
  scratch.clear();
  for (const int pass : drawn) {
    const std::size_t begin = pass_begin(samples.us.size(), samples.passes, pass);
    const auto count =
        static_cast<std::uint32_t>(pass_begin(samples.us.size(), samples.passes, pass + 1) - begin);
    for (std::uint32_t i = 0; i < count; ++i) scratch.push_back(samples.us[begin + random.below(count)]);
  }
  return quantile(scratch, q);
}

std::vector<double> bootstrap_ratios(PassedSamples numerator, PassedSamples denominator, double q,
                                     PassPairing pairing, std::uint64_t seed) {
  RandomStream random(seed, bootstrap_stream);
  std::vector<int> top_passes(static_cast<std::size_t>(numerator.passes));
  std::vector<int> bottom_passes(static_cast<std::size_t>(denominator.passes));
  std::vector<double> scratch;
  std::vector<double> ratios(num_resamples);
  for (double& ratio : ratios) {
    draw_passes(top_passes, random);
    if (pairing == PassPairing::same_run) {
      bottom_passes = top_passes;
    } else {
      draw_passes(bottom_passes, random);
    }
    const double top = resampled_quantile(numerator, top_passes, q, random, scratch);
    ratio = top / resampled_quantile(denominator, bottom_passes, q, random, scratch);
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

std::size_t pass_begin(std::size_t n, int passes, int pass) {
  EPSKEW_EXPECT(passes >= 1 && pass >= 0 && pass <= passes);
  return n * static_cast<std::size_t>(pass) / static_cast<std::size_t>(passes);
}

std::optional<RatioInterval> ratio_of_quantiles(PassedSamples numerator, PassedSamples denominator, double q,
                                                PassPairing pairing, std::uint64_t seed) {
  EPSKEW_EXPECT(pairing == PassPairing::separate_runs || numerator.passes == denominator.passes);
  if (std::min(numerator.us.size(), denominator.us.size()) < min_samples_for_ratio) return std::nullopt;
  EPSKEW_EXPECT(static_cast<std::size_t>(numerator.passes) <= numerator.us.size());
  EPSKEW_EXPECT(static_cast<std::size_t>(denominator.passes) <= denominator.us.size());
  const auto top = percentile(numerator.us, q);
  const auto bottom = percentile(denominator.us, q);
  // Times are positive; a clock that saw no time pass at all supports no ratio.
  if (!top || !bottom || *std::min_element(denominator.us.begin(), denominator.us.end()) <= 0)
    return std::nullopt;
  std::vector<double> ratios = bootstrap_ratios(numerator, denominator, q, pairing, seed);
  return RatioInterval{*top / *bottom, quantile(ratios, 0.025), quantile(ratios, 0.975)};
}

}  // namespace epskew
