#include "epskew/fit/least_squares.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "epskew/support/error.hpp"
#include "epskew/support/random.hpp"

namespace epskew {
namespace {

struct Known {
  LawFamily family;
  std::vector<double> parameters;
};

/// The law with its scale chosen so that the mean over n places is 1, as loads have it.
Known with_mean_one(const Known& law, int n) {
  const std::vector<double> curve = law_curve(law.family, law.parameters, n);
  const double mean = std::accumulate(curve.begin(), curve.end(), 0.0) / n;
  Known scaled = law;
  switch (law.family) {
    case LawFamily::lognormal:
      scaled.parameters[0] -= std::log(mean);
      break;
    case LawFamily::shifted_lognormal:
      scaled.parameters[0] /= mean;
      scaled.parameters[1] -= std::log(mean);
      break;
    case LawFamily::normal:
      scaled.parameters[0] /= mean;
      scaled.parameters[1] /= mean;
      break;
    default:
      scaled.parameters[0] /= mean;
  }
  return scaled;
}

class Recovers : public testing::TestWithParam<Known> {};

TEST_P(Recovers, TheParametersOfItsOwnCurve) {
  for (const int n : {8, 64, 257}) {
    const Known law = with_mean_one(GetParam(), n);
    const std::vector<double> loads = law_curve(law.family, law.parameters, n);

    const LeastSquaresFit fit = LeastSquares(n).fit(law.family, loads);

    ASSERT_EQ(fit.parameters.size(), law.parameters.size());
    for (std::size_t p = 0; p < law.parameters.size(); ++p) {
      EXPECT_NEAR(fit.parameters[p], law.parameters[p], 1e-5 * std::max(1.0, std::abs(law.parameters[p])))
          << name_of(law.family) << " " << parameter_names(law.family)[p] << " n=" << n;
    }
    EXPECT_LT(fit.sse, 1e-11);
    EXPECT_NEAR(fit.max_error, 0, 1e-6);
    EXPECT_FALSE(fit.at_bound);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Families, Recovers,
    testing::Values(Known{LawFamily::lognormal, {0, 0.6}}, Known{LawFamily::gamma, {1, 2.5}},
                    Known{LawFamily::weibull, {1, 1.7}}, Known{LawFamily::normal, {1, 0.3}},
                    Known{LawFamily::exprank, {1, 0.03}}, Known{LawFamily::powerlaw, {1, 0.7}},
                    Known{LawFamily::pareto, {1, 2.2}}, Known{LawFamily::zipf_mandelbrot, {1, 1.3, 4}},
                    Known{LawFamily::zipf_mandelbrot, {1, 0.8, -0.4}},
                    Known{LawFamily::shifted_lognormal, {0.4, -1, 0.8}}),
    [](const auto& tested) {
      std::string name(name_of(tested.param.family));
      std::replace(name.begin(), name.end(), '-', '_');
      return name + "_" + std::to_string(tested.index);
    });

TEST(LeastSquares, UniformLeavesTheVariance) {
  const std::vector<double> loads = {0.5, 0.5, 1.0, 2.0};

  const LeastSquaresFit fit = LeastSquares(4).fit(LawFamily::uniform, loads);

  EXPECT_DOUBLE_EQ(fit.sse, 0.25 + 0.25 + 0 + 1);
  EXPECT_DOUBLE_EQ(fit.parameters[0], 1);
  EXPECT_DOUBLE_EQ(fit.max_error, -0.5);
}

TEST(LeastSquares, NormalIsTheRegressionOnQuantiles) {
  const std::vector<double> loads = {0.4, 1.6};
  constexpr double z = 0.67448975019608171;  // the 3/4 quantile

  const LeastSquaresFit fit = LeastSquares(2).fit(LawFamily::normal, loads);

  EXPECT_NEAR(fit.parameters[0], 1, 1e-12);
  EXPECT_NEAR(fit.parameters[1], 0.6 / z, 1e-12);
}

std::vector<double> uneven_loads(int n, std::uint64_t seed) {
  RandomStream random(seed, 0);
  std::vector<double> counts(static_cast<std::size_t>(n));
  for (double& count : counts) count = std::floor(1000 * std::exp(2 * random.uniform() * random.uniform()));
  return sorted_loads(counts, "test");
}

TEST(LeastSquares, NoNeighbouringParametersAreBetter) {
  const std::vector<double> loads = uneven_loads(64, 3);
  const LeastSquares least_squares(64);

  for (const LawFamily family : law_families()) {
    const LeastSquaresFit fit = least_squares.fit(family, loads);
    if (fit.at_bound) continue;
    for (std::size_t p = 0; p < fit.parameters.size(); ++p) {
      for (const double step : {-1e-3, 1e-3}) {
        std::vector<double> moved = fit.parameters;
        moved[p] += step * std::max(1e-3, std::abs(moved[p]));
        const std::vector<double> curve = law_curve(family, moved, 64);
        double sse = 0;
        for (std::size_t i = 0; i < curve.size(); ++i) sse += (loads[i] - curve[i]) * (loads[i] - curve[i]);
        EXPECT_GE(sse, fit.sse) << name_of(family) << " " << parameter_names(family)[p] << " " << step;
      }
    }
  }
}

TEST(LeastSquares, TheThreeParameterLawsContainTheirSpecialCases) {
  const LeastSquares least_squares(64);
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const std::vector<double> loads = uneven_loads(64, seed);
    const auto sse = [&](LawFamily family) { return least_squares.fit(family, loads).sse; };

    const double mandelbrot = sse(LawFamily::zipf_mandelbrot);

    EXPECT_LE(mandelbrot, sse(LawFamily::powerlaw) + 1e-9);  // q = 0
    EXPECT_LE(mandelbrot, sse(LawFamily::pareto) + 1e-9);    // q = -1/2
    EXPECT_LE(sse(LawFamily::shifted_lognormal), sse(LawFamily::lognormal) + 1e-9);
  }
}

TEST(LeastSquares, TheQuickFitAgreesWithTheExactOne) {
  const LeastSquares least_squares(64);
  const std::vector<double> loads = uneven_loads(64, 9);

  for (const LawFamily family : law_families()) {
    const LeastSquaresFit exact = least_squares.fit(family, loads);
    const ApproximateFit quick = least_squares.approximate(family, loads);

    EXPECT_NEAR(quick.sse, exact.sse, (exact.parameters.size() > 2 ? 0.03 : 0.01) * exact.sse)
        << name_of(family);
    if (exact.at_bound || exact.parameters.size() > 2) continue;
    for (std::size_t p = 0; p < exact.parameters.size(); ++p) {
      EXPECT_NEAR(quick.parameters[p], exact.parameters[p],
                  0.01 * std::max(0.3, std::abs(exact.parameters[p])))
          << name_of(family) << " " << parameter_names(family)[p];
    }
  }
}

TEST(LeastSquares, ALimitIsReportedAsALimit) {
  // Loads that fall faster than any exponential at the top end of the search: one place has everything.
  std::vector<double> loads(8, 0.0);
  loads.back() = 8;

  const LeastSquaresFit fit = LeastSquares(8).fit(LawFamily::lognormal, loads);

  EXPECT_TRUE(fit.at_bound);
}

void expect_refused(const std::vector<double>& loads, const std::string& why) {
  try {
    sorted_loads(loads, "layer 7");
    ADD_FAILURE() << "not refused: " << why;
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("layer 7"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find(why), std::string::npos) << error.what();
  }
}

TEST(SortedLoads, RefusesWhatIsNoLoad) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();

  expect_refused({5}, "at least two places");
  expect_refused({}, "at least two places");
  expect_refused({1, nan}, "finite");
  expect_refused({1, inf}, "finite");
  expect_refused({1, -2, 4}, "-2 at place 1");
  expect_refused({0, 0, 0}, "every load is 0");
  expect_refused({3, 3, 3}, "equal loads");
}

TEST(SortedLoads, AreAscendingWithMeanOne) {
  EXPECT_EQ(sorted_loads(std::vector<double>{6, 0, 3}, "x"), (std::vector<double>{0, 1, 2}));
}

// Long recordings of a well balanced model: nothing but chance is left in their loads. Regression: only the
// normal law reached them, and was named.
TEST(LeastSquares, NarrowLoadsAreWithinEveryFamilysRange) {
  const LeastSquares fitter(64);
  const std::vector<double> normal = law_curve(LawFamily::normal, std::vector<double>{0, 1}, 64);
  for (const double spread : {1e-2, 1e-3, 1e-4, 3e-5}) {
    std::vector<double> loads;
    for (const double z : normal) loads.push_back(1 + spread * z);
    for (const LawFamily family : {LawFamily::lognormal, LawFamily::gamma, LawFamily::weibull,
                                   LawFamily::exprank, LawFamily::powerlaw, LawFamily::pareto}) {
      SCOPED_TRACE(std::string(name_of(family)) + " " + std::to_string(spread));

      const LeastSquaresFit fit = fitter.fit(family, loads);

      EXPECT_FALSE(fit.at_bound);
      // Of the variance of loads, 64 spread², most is explained by a law of any form.
      EXPECT_LT(fit.sse, 0.6 * 64 * spread * spread);
    }
    EXPECT_NEAR(fitter.fit(LawFamily::lognormal, loads).parameters[1] / spread, 1, 0.01);
    EXPECT_NEAR(fitter.fit(LawFamily::gamma, loads).parameters[1] * spread * spread, 1, 0.02);
  }
}

}  // namespace
}  // namespace epskew
