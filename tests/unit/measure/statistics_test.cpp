#include "epskew/measure/statistics.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "epskew/support/random.hpp"

namespace epskew {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

std::vector<double> one_to(int n) {
  std::vector<double> values(static_cast<std::size_t>(n));
  std::iota(values.begin(), values.end(), 1.0);
  return values;
}

TEST(Percentile, InterpolatesBetweenOrderStatistics) {
  const std::vector<double> four = {40, 10, 30, 20};

  EXPECT_EQ(percentile(four, 0.5), 25.0);  // h = 1.5
  EXPECT_EQ(percentile(one_to(20), 0.9), 1 + 19 * 0.9);
  EXPECT_EQ(percentile(one_to(21), 0.9), 19.0);  // h = 18 exactly
  EXPECT_NEAR(*percentile(one_to(200), 0.99), 1 + 199 * 0.99, 1e-12);
  EXPECT_NEAR(*percentile(one_to(200), 0.01), 1 + 199 * 0.01, 1e-12);
}

TEST(Percentile, NeedsTwoSamplesBeyondTheQuantile) {
  EXPECT_EQ(min_samples_for(0.5), 4);
  EXPECT_EQ(min_samples_for(0.9), 20);
  EXPECT_EQ(min_samples_for(0.99), 200);
  EXPECT_EQ(min_samples_for(0.1), 20);
  EXPECT_EQ(percentile(one_to(3), 0.5), std::nullopt);
  EXPECT_EQ(percentile(one_to(19), 0.9), std::nullopt);
  EXPECT_EQ(percentile(one_to(199), 0.99), std::nullopt);
}

TEST(Percentile, TiesAndEqualSamplesAreTheirValue) {
  EXPECT_EQ(percentile(std::vector<double>(200, 7.5), 0.99), 7.5);
  EXPECT_EQ(percentile(std::vector<double>{1, 2, 2, 2, 9}, 0.5), 2.0);
}

TEST(Percentile, RefusesWhatIsNoNumber) {
  EXPECT_EQ(percentile(std::vector<double>{1, nan, 3, 4}, 0.5), std::nullopt);
  EXPECT_EQ(percentile(std::vector<double>{1, 2, 3, infinity}, 0.5), std::nullopt);
}

TEST(Summarise, HandWorked) {
  const Summary summary = summarise(std::vector<double>{4, 1, 7, 2});

  EXPECT_EQ(summary.mean, 3.5);
  EXPECT_EQ(summary.min, 1.0);
  EXPECT_EQ(summary.max, 7.0);
  EXPECT_EQ(summary.p50, 3.0);
  EXPECT_EQ(summary.p90, std::nullopt);
  EXPECT_EQ(summary.p99, std::nullopt);
}

TEST(Summarise, OfNothingIsNothing) {
  const Summary summary = summarise({});

  EXPECT_EQ(summary.mean, std::nullopt);
  EXPECT_EQ(summary.min, std::nullopt);
  EXPECT_EQ(summary.max, std::nullopt);
}

TEST(Summarise, OfOneSampleHasNoQuantile) {
  const Summary summary = summarise(std::vector<double>{3});

  EXPECT_EQ(summary.mean, 3.0);
  EXPECT_EQ(summary.max, 3.0);
  EXPECT_EQ(summary.p50, std::nullopt);
}

TEST(Summarise, OneNanSpoilsAll) {
  EXPECT_EQ(summarise(std::vector<double>{1, 2, nan, 4}).mean, std::nullopt);
}

/// One pass on each side.
std::optional<RatioInterval> median_ratio(const std::vector<double>& numerator,
                                          const std::vector<double>& denominator, std::uint64_t seed) {
  return ratio_of_quantiles({numerator, 1}, {denominator, 1}, 0.5, PassPairing::separate_runs, seed);
}

TEST(RatioOfMedians, OfConstantsHasNoWidth) {
  const auto ratio = median_ratio(std::vector<double>(10, 30.0), std::vector<double>(10, 20.0), 1);

  ASSERT_TRUE(ratio);
  EXPECT_EQ(ratio->ratio, 1.5);
  EXPECT_EQ(ratio->low, 1.5);
  EXPECT_EQ(ratio->high, 1.5);
}

TEST(RatioOfMedians, IsAFunctionOfSamplesAndSeed) {
  const auto a = median_ratio(one_to(50), one_to(40), 1);
  const auto b = median_ratio(one_to(50), one_to(40), 1);

  EXPECT_EQ(a->low, b->low);
  EXPECT_EQ(a->high, b->high);
  EXPECT_LT(a->low, a->ratio);
  EXPECT_GT(a->high, a->ratio);
}

TEST(RatioOfMedians, NeedsFiveSamplesAndATimeAboveZero) {
  EXPECT_EQ(median_ratio(one_to(4), one_to(5), 1), std::nullopt);
  EXPECT_EQ(median_ratio(one_to(5), one_to(4), 1), std::nullopt);
  EXPECT_EQ(median_ratio(one_to(5), std::vector<double>{0, 1, 2, 3, 4}, 1), std::nullopt);
  EXPECT_EQ(median_ratio(std::vector<double>{1, 2, 3, 4, nan}, one_to(5), 1), std::nullopt);
}

// 95 % intervals must hold the true ratio in about 95 % of 200 repeats. A binomial(200, 0.95) lies in [180,
// 200] with probability 0.998; a percentile bootstrap of a median is known to be slightly off nominal, hence
// no narrower.
TEST(RatioOfMedians, IntervalCoversTheTruth) {
  RandomStream random(20261124, 1);
  const auto draw = [&](double median) {
    std::vector<double> samples(60);
    for (double& sample : samples)
      sample = median * std::exp(0.2 * (random.uniform() + random.uniform() - 1));
    return samples;
  };
  int covered = 0;

  for (int repeat = 0; repeat < 200; ++repeat) {
    const auto ratio = median_ratio(draw(30), draw(20), 5);
    if (ratio->low <= 1.5 && 1.5 <= ratio->high) ++covered;
  }

  EXPECT_GE(covered, 180);
  EXPECT_LT(covered, 200);
}

TEST(PassBegin, SharesSamplesAlmostEqually) {
  EXPECT_EQ(pass_begin(10, 4, 0), 0u);
  EXPECT_EQ(pass_begin(10, 4, 1), 2u);
  EXPECT_EQ(pass_begin(10, 4, 2), 5u);
  EXPECT_EQ(pass_begin(10, 4, 3), 7u);
  EXPECT_EQ(pass_begin(10, 4, 4), 10u);
}

/// Passes that have nothing but a level each, as times exp(level).
std::vector<double> passes_at(std::initializer_list<double> levels) {
  std::vector<double> samples;
  for (const double level : levels) samples.insert(samples.end(), 10, std::exp(level));
  return samples;
}

/// Half the interval of the logarithm, which lies evenly around the ratio.
double half_width(const std::vector<double>& top, const std::vector<double>& bottom, int passes,
                  PassPairing pairing) {
  const auto ratio = ratio_of_quantiles({top, passes}, {bottom, passes}, 0.5, pairing, 1);
  EXPECT_NEAR(std::log(ratio->high / ratio->ratio), std::log(ratio->ratio / ratio->low), 1e-12);
  return std::log(ratio->high / ratio->ratio);
}

// Two passes, a level h apart: a resample has the median 0, h/2 or h with probability 1/4, 1/2, 1/4, so the
// variance h²/8, without bias h²/4; Student's quantile for one degree of freedom is 12.706. 2000 resamples
// know a standard deviation to 2 %.
TEST(RatioOfMedians, PassesAreClustersOfStudentsKind) {
  const double half = half_width(passes_at({0, 0.01}), passes_at({0, 0}), 2, PassPairing::same_run);

  EXPECT_NEAR(half / (12.706 * 0.01 / 2), 1, 0.08);
}

// Both runs have that variance: two degrees of freedom (Welch), whose quantile is 4.303. In one run the same
// levels would cancel.
TEST(RatioOfMedians, PassesOfSeparateRunsAreDrawnApart) {
  const auto levels = passes_at({0, 0.01});

  EXPECT_NEAR(half_width(levels, levels, 2, PassPairing::separate_runs) / (4.303 * 0.01 / std::sqrt(2.0)), 1,
              0.08);
  EXPECT_NEAR(half_width(levels, levels, 2, PassPairing::same_run), 0, 1e-9);
}

// Passes that all say the same leave what samples within them say, as for one pass.
TEST(RatioOfMedians, SamplesWithinPassesCountAsWell) {
  std::vector<double> samples;
  for (int pass = 0; pass < 4; ++pass) {
    for (int i = 0; i < 25; ++i) samples.push_back(100 + i);
  }
  const std::vector<double> constant(100, 112.0);

  // With some seed of several the resamples estimate no variance between passes at all.
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    const auto passes = ratio_of_quantiles({samples, 4}, {constant, 4}, 0.5, PassPairing::same_run, seed);
    const auto once = ratio_of_quantiles({samples, 1}, {constant, 1}, 0.5, PassPairing::same_run, seed);

    const double width = std::log(passes->high / passes->low);
    EXPECT_GT(width, 0.75 * std::log(once->high / once->low)) << seed;
    EXPECT_LT(width, 3 * std::log(once->high / once->low)) << seed;
  }
}

// The median of n normal samples has the standard deviation 1.2533 sigma / sqrt(n), so the percentile
// interval of one pass is 1.96 of them to either side; 90 % would be 1.645, 99 % 2.576.
TEST(RatioOfMedians, OnePassHasTheIntervalOfIndependentSamples) {
  RandomStream random(20261124, 3);
  const std::vector<double> constant(200, 1.0);
  double sum = 0;
  constexpr int repeats = 60;

  for (int repeat = 0; repeat < repeats; ++repeat) {
    std::vector<double> samples(200);
    for (double& sample : samples) {
      double normal = -6;  // Irwin and Hall's sum of 12
      for (int i = 0; i < 12; ++i) normal += random.uniform();
      sample = std::exp(0.1 * normal);
    }
    const auto ratio = median_ratio(samples, constant, 1);
    sum += std::log(ratio->high / ratio->low) / 2;
  }

  EXPECT_NEAR(sum / repeats / (1.2533 * 0.1 / std::sqrt(200.0)), 1.96, 0.2);
}

struct Coverage {
  int above = 0;  ///< intervals that lie above the truth as a whole: "slower"
  int below = 0;
  double mean_half_width = 0;
};

/// 100 intervals of two sides of one distribution whose passes differ: levels even in ±0.1·√3 in logarithm (a
/// standard deviation of 10 %), 10 samples a pass within ±5 %.
Coverage coverage(int passes, PassPairing pairing, int passes_told) {
  constexpr int repeats = 100;
  RandomStream random(20261124, 2);
  const auto draw = [&] {
    std::vector<double> samples;
    for (int pass = 0; pass < passes; ++pass) {
      const double level = 0.1 * std::sqrt(3.0) * (2 * random.uniform() - 1);
      for (int i = 0; i < 10; ++i) samples.push_back(std::exp(level + 0.05 * (2 * random.uniform() - 1)));
    }
    return samples;
  };
  Coverage found;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    const auto a = draw(), b = draw();
    const auto ratio = ratio_of_quantiles({a, passes_told}, {b, passes_told}, 0.5, pairing, 3);
    found.above += ratio->low > 1;
    found.below += ratio->high < 1;
    found.mean_half_width += std::log(ratio->high / ratio->low) / 2 / repeats;
  }
  return found;
}

// Regression: samples of one visit were resampled as if independent, and then passes without regard to how
// few there are; drift between visits came out as a difference. Of 100 intervals of 95 %, 2.5 miss on either
// side; more than 8 with a probability of 0.1 %.
TEST(RatioOfMedians, FewPassesWidenTheIntervalToWhatItSays) {
  for (const int passes : {2, 4}) {
    for (const PassPairing pairing : {PassPairing::same_run, PassPairing::separate_runs}) {
      SCOPED_TRACE(passes);
      const Coverage found = coverage(passes, pairing, passes);

      EXPECT_LE(found.above, 8);
      EXPECT_LE(found.below, 8);
    }
  }
  // The difference of two means of four has the standard deviation 0.1·√(2/4), and 3.182 of them are 0.225.
  const Coverage four = coverage(4, PassPairing::same_run, 4);
  EXPECT_GT(four.mean_half_width, 0.15);
  EXPECT_LT(four.mean_half_width, 0.28);
  // What would be said if nobody told of the passes.
  const Coverage untold = coverage(4, PassPairing::same_run, 1);
  EXPECT_GT(untold.above + untold.below, 35);
}

TEST(RatioOfMedians, DriftSharedByBothSidesCancels) {
  std::vector<double> fast, slow;
  for (const double level : {1.0, 2.0, 3.0, 4.0}) {
    fast.insert(fast.end(), 10, level);
    slow.insert(slow.end(), 10, 2 * level);
  }

  const auto ratio = ratio_of_quantiles({slow, 4}, {fast, 4}, 0.5, PassPairing::same_run, 1);

  EXPECT_NEAR(ratio->low, 2, 1e-9);
  EXPECT_NEAR(ratio->high, 2, 1e-9);
}

}  // namespace
}  // namespace epskew
