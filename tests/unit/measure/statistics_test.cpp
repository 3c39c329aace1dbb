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

TEST(RatioOfMedians, OfConstantsHasNoWidth) {
  const auto ratio = ratio_of_medians(std::vector<double>(10, 30.0), std::vector<double>(10, 20.0), 1);

  ASSERT_TRUE(ratio);
  EXPECT_EQ(ratio->ratio, 1.5);
  EXPECT_EQ(ratio->low, 1.5);
  EXPECT_EQ(ratio->high, 1.5);
}

TEST(RatioOfMedians, IsAFunctionOfSamplesAndSeed) {
  const auto a = ratio_of_medians(one_to(50), one_to(40), 1);
  const auto b = ratio_of_medians(one_to(50), one_to(40), 1);

  EXPECT_EQ(a->low, b->low);
  EXPECT_EQ(a->high, b->high);
  EXPECT_LT(a->low, a->ratio);
  EXPECT_GT(a->high, a->ratio);
}

TEST(RatioOfMedians, NeedsFiveSamplesAndATimeAboveZero) {
  EXPECT_EQ(ratio_of_medians(one_to(4), one_to(5), 1), std::nullopt);
  EXPECT_EQ(ratio_of_medians(one_to(5), one_to(4), 1), std::nullopt);
  EXPECT_EQ(ratio_of_medians(one_to(5), std::vector<double>{0, 1, 2, 3, 4}, 1), std::nullopt);
  EXPECT_EQ(ratio_of_medians(std::vector<double>{1, 2, 3, 4, nan}, one_to(5), 1), std::nullopt);
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
    const auto ratio = ratio_of_medians(draw(30), draw(20), 5);
    if (ratio->low <= 1.5 && 1.5 <= ratio->high) ++covered;
  }

  EXPECT_GE(covered, 180);
  EXPECT_LT(covered, 200);
}

}  // namespace
}  // namespace epskew
