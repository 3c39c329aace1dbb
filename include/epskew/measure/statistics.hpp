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

/// A ratio with its interval.
struct RatioInterval {
  double ratio = 1;
  double low = 1;
  double high = 1;
};
/// Samples that were taken in several passes, one after another: pass p has those from pass_begin(n, passes,
/// p) on.
struct PassedSamples {
  std::span<const double> us;
  int passes = 1;
};
/// floor(n · pass / passes): passes of nearly equal length.
std::size_t pass_begin(std::size_t n, int passes, int pass);

/// Whether the passes of two sets of samples alternated in one run, so that drift of the machine hit both, or
/// belong to runs of their own.
enum class PassPairing { same_run, separate_runs };

/// The q-quantile of the numerator over that of the denominator and its 95 % interval, a function
/// of the samples and `seed`. nullopt where either has fewer than max(5, min_samples_for(q)) samples, or a
/// time that is not above 0.
///
/// Over several passes: times of one pass are not independent of each other, so passes are what is drawn (the
/// same ones on both sides for same_run, which needs equal numbers of passes), and then samples within each.
/// There are few passes, so the interval is ratio · exp(±t·s): s² the variance between passes as the
/// resamples estimate it without bias, t Student's quantile for passes - 1 degrees of freedom (separate_runs:
/// both variances, and Welch's degrees of freedom). It is never narrower than samples within passes alone
/// make it.
///
/// Over one pass: the percentile interval of samples drawn as if independent, which knows nothing of drift.
///
/// What differs from run to run (where memory came to lie, who else used the machine) is in neither: repeat
/// runs.
std::optional<RatioInterval> ratio_of_quantiles(PassedSamples numerator, PassedSamples denominator, double q,
                                                PassPairing pairing, std::uint64_t seed);

}  // namespace epskew
