#include "epskew/workload/family.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace epskew {
namespace {

constexpr Family shaped[] = {Family::lognormal, Family::gamma, Family::powerlaw, Family::weibull,
                             Family::exprank};

double mean_of(const std::vector<double>& curve) {
  return std::accumulate(curve.begin(), curve.end(), 0.0) / static_cast<double>(curve.size());
}

TEST(Family, NamesRoundTrip) {
  for (const Family family : shaped) EXPECT_EQ(find_family(name_of(family)), family);

  EXPECT_EQ(find_family("uniform"), Family::uniform);
  EXPECT_EQ(find_family("normal"), std::nullopt);
  EXPECT_EQ(family_names(), "uniform, lognormal, gamma, powerlaw, weibull, exprank");
  EXPECT_EQ(shape_name(Family::lognormal), "sigma");
  EXPECT_EQ(shape_name(Family::uniform), "");
}

TEST(LoadCurve, LognormalOverTwoPlacesIsTheQuartiles) {
  const double z =
      0.674489750196081743;  // 75 % quantile of the normal distribution, Abramowitz & Stegun 26.2

  const std::vector<double> curve = load_curve(Family::lognormal, 1.0, 2);

  EXPECT_NEAR(curve[1] / curve[0], std::exp(2 * z), 1e-8);
  EXPECT_NEAR(curve[0] + curve[1], 2.0, 1e-9);
}

TEST(LoadCurve, GammaOfShapeOneAndWeibullOfShapeOneAreExponential) {
  const std::vector<double> gamma = load_curve(Family::gamma, 1.0, 16);
  const std::vector<double> weibull = load_curve(Family::weibull, 1.0, 16);

  for (int i = 0; i < 16; ++i) {
    const double ratio = std::log1p(-(i + 0.5) / 16) / std::log1p(-15.5 / 16);
    EXPECT_NEAR(gamma[static_cast<std::size_t>(i)] / gamma[15], ratio, 1e-8);
    EXPECT_NEAR(weibull[static_cast<std::size_t>(i)] / weibull[15], ratio, 1e-8);
  }
}

TEST(LoadCurve, RankFamiliesFollowTheirFormula) {
  const std::vector<double> powerlaw = load_curve(Family::powerlaw, 2.0, 4);
  const std::vector<double> exprank = load_curve(Family::exprank, std::log(2.0), 4);

  EXPECT_NEAR(powerlaw[0] / powerlaw[3], 1.0 / 16, 1e-9);
  EXPECT_NEAR(powerlaw[2] / powerlaw[3], 1.0 / 4, 1e-9);
  EXPECT_NEAR(exprank[0] / exprank[3], 1.0 / 8, 1e-9);
}

TEST(LoadCurve, ValuesLieOnTheGrid) {
  for (const Family family : shaped) {
    for (const double value : load_curve(family, 0.7, 37)) {
      ASSERT_EQ(value * 0x1p32, std::floor(value * 0x1p32)) << name_of(family);
    }
  }
}

TEST(LoadCurve, GammaIsContinuousWhereTheApproximationTakesOver) {
  const std::vector<double> exact = load_curve(Family::gamma, 0.999999e6, 64);
  const std::vector<double> cube = load_curve(Family::gamma, 1.000001e6, 64);

  for (std::size_t i = 0; i < 64; ++i) EXPECT_NEAR(exact[i], cube[i], 1e-8);
}

TEST(ShapeForFactor, TheCurveHasTheFactor) {
  for (const Family family : shaped) {
    for (const int n : {2, 3, 8, 64, 288, 512}) {
      for (const double share : {0.0, 1e-6, 0.01, 0.1, 0.5, 0.9, 0.999, 0.999999}) {
        const double factor = 1.0 + share * (n - 1);

        const std::vector<double> curve = load_curve(family, shape_for_factor(family, factor, n), n);

        ASSERT_TRUE(std::is_sorted(curve.begin(), curve.end()));
        ASSERT_NEAR(mean_of(curve), 1.0, 1e-8);
        ASSERT_NEAR(curve.back(), factor, 2e-7 * factor)
            << name_of(family) << " n " << n << " factor " << factor;
      }
    }
  }
}

TEST(ShapeForFactor, FactorOneIsFlat) {
  for (const Family family : shaped) {
    for (const double value : load_curve(family, shape_for_factor(family, 1.0, 9), 9)) EXPECT_EQ(value, 1.0);
  }
}

TEST(ShapeForFactor, KnowsAHandSolvedShape) {
  // exprank over two places: max / mean = 2 / (1 + e^-rate); factor 1.6 gives e^-rate = 1/4.
  EXPECT_NEAR(shape_for_factor(Family::exprank, 1.6, 2), std::log(4.0), 1e-8);
  // powerlaw over two places: 2 / (1 + 2^-alpha); factor 1.6 gives alpha = 2.
  EXPECT_NEAR(shape_for_factor(Family::powerlaw, 1.6, 2), 2.0, 1e-8);
}

}  // namespace
}  // namespace epskew
