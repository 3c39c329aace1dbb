#include "epskew/fit/law.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string_view>
#include <vector>

namespace epskew {
namespace {

std::vector<double> curve(LawFamily family, std::vector<double> parameters, int n) {
  return law_curve(family, parameters, n);
}

TEST(Law, NamesAreDistinctAndFollowTheGenerators) {
  std::set<std::string_view> names;

  for (const LawFamily family : law_families()) {
    names.insert(name_of(family));
    if (const auto generator = generator_family(family)) {
      EXPECT_EQ(name_of(family), name_of(*generator));
    }
  }

  EXPECT_EQ(names.size(), static_cast<std::size_t>(num_law_families));
}

// Four places, so p = 1/8, 3/8, 5/8, 7/8 and r = 4, 3, 2, 1: every value by hand.
TEST(Law, RankSizeCurvesByHand) {
  const auto power = curve(LawFamily::powerlaw, {12, 1}, 4);
  const auto exponential = curve(LawFamily::exprank, {8, std::log(2.0)}, 4);
  const auto mandelbrot = curve(LawFamily::zipf_mandelbrot, {4, 2, 1}, 4);

  const std::vector<double> expected_power = {3, 4, 6, 12};
  const std::vector<double> expected_exponential = {1, 2, 4, 8};
  const std::vector<double> expected_mandelbrot = {16.0 / 25, 1, 16.0 / 9, 4};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(power[i], expected_power[i], 1e-8);
    EXPECT_NEAR(exponential[i], expected_exponential[i], 1e-8);
    EXPECT_NEAR(mandelbrot[i], expected_mandelbrot[i], 1e-12);
  }
}

TEST(Law, QuantileCurvesByHand) {
  // 1 - p = 7/8, 5/8, 3/8, 1/8.
  const auto pareto = curve(LawFamily::pareto, {1, 1}, 4);
  const auto weibull = curve(LawFamily::weibull, {1, 1}, 4);
  const auto gamma_of_one = curve(LawFamily::gamma, {1, 1}, 4);

  for (std::size_t i = 0; i < 4; ++i) {
    const double tail = (7.0 - 2.0 * static_cast<double>(i)) / 8;
    EXPECT_NEAR(pareto[i], 1 / tail, 1e-12);
    EXPECT_NEAR(weibull[i], -std::log(tail), 1e-8);
    EXPECT_NEAR(gamma_of_one[i], -std::log(tail), 1e-8);  // gamma(1) is the exponential, as is Weibull(1)
  }
}

TEST(Law, NormalCurvesByHand) {
  constexpr double z = 1.1503493803760079;  // the 7/8 quantile
  const auto normal = curve(LawFamily::normal, {3, 2}, 4);
  const auto lognormal = curve(LawFamily::lognormal, {1, 0.5}, 4);
  const auto shifted = curve(LawFamily::shifted_lognormal, {-2, 1, 0.5}, 4);

  EXPECT_NEAR(normal.front(), 3 - 2 * z, 1e-12);
  EXPECT_NEAR(normal.back(), 3 + 2 * z, 1e-12);
  EXPECT_NEAR(lognormal.back(), std::exp(1 + 0.5 * z), 1e-8);
  EXPECT_NEAR(lognormal.front(), std::exp(1 - 0.5 * z), 1e-8);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(shifted[i], lognormal[i] - 2, 1e-12);
}

TEST(Law, UniformIsLevel) {
  EXPECT_EQ(curve(LawFamily::uniform, {3}, 3), (std::vector<double>{3, 3, 3}));
  EXPECT_FALSE(shape_index(LawFamily::uniform));
}

}  // namespace
}  // namespace epskew
