#pragma once

/// Reductions of samples. A value that the samples cannot support is nullopt, never a number.

#include <cstdint>
#include <optional>
#include <span>

namespace epskew {

/// The q-quantile (0 < q < 1) by linear interpolation between order statistics (Hyndman–Fan type 7). nullopt
/// when fewer than min_samples_for(q) samples.
std::optional<double> percentile(std::span<const double> samples, double q);
/// Samples needed behind a quantile, so that at least two lie beyond it: ceil(2 / (1 - q)) for q >= 1/2,
/// symmetrically below.
int min_samples_for(double q);

struct Summary {
  std::optional<double> mean, min, max, p50, p90, p99;
};
Summary summarise(std::span<const double> samples);

/// A ratio with its bootstrap interval.
struct RatioInterval {
  double ratio = 1;
  double low = 1;
  double high = 1;
};
/// The q-quantile of the numerator over that of the denominator and its 95 % percentile-bootstrap interval,
/// resampling both, `seed` fixed. nullopt where either has fewer than max(5, min_samples_for(q)) samples.
std::optional<RatioInterval> ratio_of_quantiles(std::span<const double> numerator,
                                                std::span<const double> denominator, double q,
                                                std::uint64_t seed);
/// The same at q = 1/2.
std::optional<RatioInterval> ratio_of_medians(std::span<const double> numerator,
                                              std::span<const double> denominator, std::uint64_t seed);

}  // namespace epskew
