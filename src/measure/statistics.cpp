#include "epskew/measure/statistics.hpp"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
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
constexpr double confidence = 0.95;
constexpr double normal_quantile = 1.959963984540054;  // of (1 + confidence) / 2

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

/// One side of a ratio, resampled again and again.
class Resampler {
 public:
  Resampler(PassedSamples samples, double q) : samples_(samples), q_(q) {}

  std::size_t passes() const { return static_cast<std::size_t>(samples_.passes); }

  /// The logarithm of the quantile of samples drawn within each of the passes `drawn`.
  double log_quantile(const std::vector<int>& drawn, RandomStream& random) {
    scratch_.clear();
    for (const int pass : drawn) {
      const std::size_t begin = pass_begin(samples_.us.size(), samples_.passes, pass);
      const std::size_t end = pass_begin(samples_.us.size(), samples_.passes, pass + 1);
      const auto count = static_cast<std::uint32_t>(end - begin);
      for (std::uint32_t i = 0; i < count; ++i) scratch_.push_back(samples_.us[begin + random.below(count)]);
    }
    return std::log(quantile(scratch_, q_));
  }

 private:
  PassedSamples samples_;
  double q_;
  std::vector<double> scratch_;
};

std::vector<int> every_pass(std::size_t passes) {
  std::vector<int> all(passes);
  std::iota(all.begin(), all.end(), 0);
  return all;
}

std::vector<int> drawn_passes(std::size_t passes, RandomStream& random) {
  std::vector<int> drawn(passes);
  for (int& pass : drawn) pass = static_cast<int>(random.below(static_cast<std::uint32_t>(passes)));
  return drawn;
}

/// Logarithms of resampled quantiles: of the numerator, the denominator and their ratio.
struct Resamples {
  std::vector<double> top, bottom, ratio;
  void add(double log_top, double log_bottom) {
    top.push_back(log_top);
    bottom.push_back(log_bottom);
    ratio.push_back(log_top - log_bottom);
  }
};

/// Every pass as it is, samples drawn within it: what noise from sample to sample does.
Resamples resample_within(Resampler& top, Resampler& bottom, RandomStream& random) {
  const std::vector<int> top_passes = every_pass(top.passes());
  const std::vector<int> bottom_passes = every_pass(bottom.passes());
  Resamples resamples;
  for (int i = 0; i < num_resamples; ++i) {
    const double log_top = top.log_quantile(top_passes, random);
    resamples.add(log_top, bottom.log_quantile(bottom_passes, random));
  }
  return resamples;
}

/// Passes drawn first, then samples within them: noise from pass to pass as well.
Resamples resample_passes(Resampler& top, Resampler& bottom, PassPairing pairing, RandomStream& random) {
  Resamples resamples;
  for (int i = 0; i < num_resamples; ++i) {
    const std::vector<int> top_passes = drawn_passes(top.passes(), random);
    const std::vector<int> bottom_passes =
        pairing == PassPairing::same_run ? top_passes : drawn_passes(bottom.passes(), random);
    const double log_top = top.log_quantile(top_passes, random);
    resamples.add(log_top, bottom.log_quantile(bottom_passes, random));
  }
  return resamples;
}

double variance(const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  double sum = 0;
  double squares = 0;
  for (const double value : values) {
    const double distance = value - values.front();  // exactly 0 where all are equal
    sum += distance;
    squares += distance * distance;
  }
  return std::max(0.0, squares - sum * sum / n) / (n - 1);
}

/// A variance and on how many degrees of freedom its estimate rests.
struct Estimate {
  double variance = 0;
  double dof = 0;
};

// Drawing P passes of P understates the variance between them by (P - 1) / P, and drawing within them adds
// that of the samples a second time: the difference, corrected, is the usual unbiased estimate over P
// clusters.
Estimate over_passes(const std::vector<double>& passes_drawn, const std::vector<double>& within, int passes) {
  if (passes == 1) return {variance(within), 0};
  const double between = std::max(0.0, variance(passes_drawn) - variance(within));
  return {between * passes / (passes - 1), passes - 1.0};
}

// Two independent sides: Welch and Satterthwaite. A side of one pass knows nothing of passes and adds what it
// knows.
Estimate sum_of(Estimate a, Estimate b) {
  const double sum = a.variance + b.variance;
  double inverse = 0;
  for (const Estimate& side : {a, b}) {
    if (side.dof > 0 && sum > 0) inverse += side.variance * side.variance / (sum * sum * side.dof);
  }
  return {sum, inverse > 0 ? 1 / inverse : std::max(a.dof, b.dof)};
}

double student_quantile(double dof) {
  using Policy = boost::math::policies::policy<boost::math::policies::promote_double<false>>;
  return boost::math::quantile(boost::math::students_t_distribution<double, Policy>(dof),
                               (1 + confidence) / 2);
}

/// Half the interval of the logarithm of a ratio over several passes.
double half_width(const Resamples& passes_drawn, const Resamples& within, PassPairing pairing, int top_passes,
                  int bottom_passes) {
  const Estimate estimate = pairing == PassPairing::same_run
                                ? over_passes(passes_drawn.ratio, within.ratio, top_passes)
                                : sum_of(over_passes(passes_drawn.top, within.top, top_passes),
                                         over_passes(passes_drawn.bottom, within.bottom, bottom_passes));
  // Passes that agree by chance do not make the samples within them any surer.
  return std::max(student_quantile(estimate.dof) * std::sqrt(estimate.variance),
                  normal_quantile * std::sqrt(variance(within.ratio)));
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
  const auto lowest = [](std::span<const double> us) { return *std::min_element(us.begin(), us.end()); };
  if (!top || !bottom || lowest(numerator.us) <= 0 || lowest(denominator.us) <= 0) return std::nullopt;
  RandomStream random(seed, bootstrap_stream);
  Resampler top_sampler(numerator, q);
  Resampler bottom_sampler(denominator, q);
  Resamples within = resample_within(top_sampler, bottom_sampler, random);
  const double ratio = *top / *bottom;
  if (std::max(numerator.passes, denominator.passes) == 1) {
    const double log_ratio = std::log(*top) - std::log(*bottom);
    return RatioInterval{ratio, ratio * std::exp(quantile(within.ratio, (1 - confidence) / 2) - log_ratio),
                         ratio * std::exp(quantile(within.ratio, (1 + confidence) / 2) - log_ratio)};
  }
  const Resamples passes_drawn = resample_passes(top_sampler, bottom_sampler, pairing, random);
  const double half = half_width(passes_drawn, within, pairing, numerator.passes, denominator.passes);
  return RatioInterval{ratio, ratio * std::exp(-half), ratio * std::exp(half)};
}

}  // namespace epskew
