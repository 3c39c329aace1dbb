#include "epskew/fit/likelihood.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "epskew/fit/least_squares.hpp"
#include "epskew/support/random.hpp"
#include "fit/density.hpp"

namespace epskew {
namespace {

using fit::Density;

struct Known {
  LawFamily family;
  std::vector<double> parameters;
};

const std::vector<Known> laws = {
    {LawFamily::lognormal, {-0.1, 0.6}},
    {LawFamily::gamma, {0.4, 2.5}},
    {LawFamily::weibull, {1.1, 1.7}},
    {LawFamily::normal, {1, 0.2}},
    {LawFamily::exprank, {2, 0.01}},
    {LawFamily::powerlaw, {3, 0.4}},
    {LawFamily::pareto, {0.6, 2.2}},
    {LawFamily::zipf_mandelbrot, {2.5, 0.9, 4}},
    {LawFamily::shifted_lognormal, {0.4, -1, 0.8}},
};

TEST(Density, QuantileInvertsTheDistributionFunction) {
  for (const Known& law : laws) {
    const Density density{law.family, law.parameters, 64};
    for (const double p : {0.001, 0.1, 0.5, 0.9, 0.999}) {
      EXPECT_NEAR(fit::cumulative(density, fit::quantile(density, p)), p, 1e-9) << name_of(law.family);
    }
  }
}

TEST(Density, IsTheSlopeOfTheDistributionFunction) {
  for (const Known& law : laws) {
    const Density density{law.family, law.parameters, 64};
    for (const double p : {0.05, 0.3, 0.5, 0.8, 0.95}) {
      const double x = fit::quantile(density, p);
      const double h = 1e-5 * x;
      const double slope = (fit::cumulative(density, x + h) - fit::cumulative(density, x - h)) / (2 * h);

      EXPECT_NEAR(std::exp(fit::log_density(density, x)) / slope, 1, 1e-5)
          << name_of(law.family) << " p=" << p;
    }
  }
}

// The curve at place i is the law's quantile at (i - 1/2) / n, for rank-size laws too.
TEST(Density, QuantilesAreTheLawsCurve) {
  for (const Known& law : laws) {
    const Density density{law.family, law.parameters, 16};
    const std::vector<double> curve = law_curve(law.family, law.parameters, 16);
    for (std::size_t i = 0; i < curve.size(); ++i) {
      EXPECT_NEAR(fit::quantile(density, (static_cast<double>(i) + 0.5) / 16), curve[i], 1e-7 * curve.back())
          << name_of(law.family);
    }
  }
}

std::vector<double> drawn_from(const Known& law, int n, std::uint64_t seed) {
  RandomStream random(seed, 1);
  const Density density{law.family, law.parameters, n};
  std::vector<double> loads(static_cast<std::size_t>(n));
  for (double& load : loads) load = fit::quantile(density, random.uniform());
  return sorted_loads(loads, "draw");
}

double log_likelihood(const Density& law, const std::vector<double>& loads) {
  double sum = 0;
  for (const double x : loads) sum += fit::log_density(law, x);
  return sum;
}

TEST(Likelihood, NoNeighbouringParametersAreLikelier) {
  for (const Known& law : laws) {
    const std::vector<double> loads = drawn_from(law, 64, 5);

    const LikelihoodFit fit = fit_likelihood(law.family, loads);

    const Density found{law.family, fit.parameters, 64};
    EXPECT_NEAR(log_likelihood(found, loads), fit.log_likelihood, 1e-9);
    for (std::size_t p = 0; p < fit.parameters.size(); ++p) {
      for (const double step : {-1e-3, 1e-3}) {
        std::vector<double> moved = fit.parameters;
        moved[p] += step * std::max(0.1, std::abs(moved[p]));
        EXPECT_LE(log_likelihood({law.family, moved, 64}, loads), fit.log_likelihood + 1e-9)
            << name_of(law.family) << " " << parameter_names(law.family)[p] << " " << step;
      }
    }
  }
}

TEST(Likelihood, FindsTheShapeThatLoadsWereDrawnWith) {
  for (const Known& law : laws) {
    const auto shape = static_cast<std::size_t>(*shape_index(law.family));
    if (law.family == LawFamily::zipf_mandelbrot || law.family == LawFamily::shifted_lognormal)
      continue;  // a ridge
    const int n = 4000;
    Known at_n = law;
    if (law.family == LawFamily::exprank) at_n.parameters[1] = 1.0 / n;

    const LikelihoodFit fit = fit_likelihood(law.family, drawn_from(at_n, n, 11));

    EXPECT_NEAR(fit.parameters[shape] / at_n.parameters[shape], 1, 0.06) << name_of(law.family);
  }
}

TEST(Likelihood, LognormalByHand) {
  // ln loads: -1, 0, 1 around their mean: mu = mean, sigma^2 = 2/3, and the density summed by hand.
  const std::vector<double> raw = {std::exp(-1.0), 1.0, std::exp(1.0)};
  const std::vector<double> loads = sorted_loads(raw, "three");
  const double shift = -std::log(std::accumulate(raw.begin(), raw.end(), 0.0) / 3);

  const LikelihoodFit fit = fit_likelihood(LawFamily::lognormal, loads);

  EXPECT_NEAR(fit.parameters[0], shift, 1e-12);
  EXPECT_NEAR(fit.parameters[1], std::sqrt(2.0 / 3), 1e-12);
  const double expected = -1.5 - 1.5 * std::log(2 * std::acos(-1.0) * 2 / 3) - 3 * shift;
  EXPECT_NEAR(fit.log_likelihood, expected, 1e-12);
  EXPECT_NEAR(fit.aic, 4 - 2 * expected, 1e-12);
  EXPECT_NEAR(fit.bic, 2 * std::log(3.0) - 2 * expected, 1e-12);
  const double z = std::sqrt(1.5);  // of the outer two; the distance is largest beside them
  EXPECT_NEAR(fit.ks, 1.0 / 3 - 0.5 * std::erfc(z / std::sqrt(2.0)), 1e-12);
}

TEST(Likelihood, ParetoAndRankSizeLawsByHand) {
  const std::vector<double> loads = {0.5, 1.0, 1.5};
  const double mean_log = (std::log(2.0) + std::log(3.0)) / 3;

  const LikelihoodFit pareto = fit_likelihood(LawFamily::pareto, loads);
  const LikelihoodFit exprank = fit_likelihood(LawFamily::exprank, loads);
  const LikelihoodFit powerlaw = fit_likelihood(LawFamily::powerlaw, loads);

  EXPECT_NEAR(pareto.parameters[0], 0.5, 1e-12);
  EXPECT_NEAR(pareto.parameters[1], 1 / mean_log, 1e-12);
  EXPECT_NEAR(exprank.parameters[1], std::log(3.0) / 3, 1e-12);
  // Log-uniform between 0.5 and 1.5: density 1 / (x ln 3).
  EXPECT_NEAR(exprank.log_likelihood, -3 * std::log(std::log(3.0)) - std::log(0.75), 1e-9);
  EXPECT_NEAR(powerlaw.parameters[1], mean_log, 1e-12);
  EXPECT_NEAR(powerlaw.parameters[0], 0.5 * std::pow(3.5, mean_log), 1e-12);
}

TEST(Likelihood, SaysWhyThereIsNone) {
  const std::vector<double> with_empty = {0, 1, 2};

  EXPECT_TRUE(no_likelihood(LawFamily::uniform, with_empty));
  for (const LawFamily family : law_families()) {
    if (family == LawFamily::uniform) continue;
    const bool any_load = family == LawFamily::normal || family == LawFamily::shifted_lognormal;
    EXPECT_EQ(no_likelihood(family, with_empty).has_value(), !any_load) << name_of(family);
    EXPECT_FALSE(no_likelihood(family, std::vector<double>{0.5, 1, 1.5})) << name_of(family);
  }
}

TEST(Likelihood, LoadsThatLeanToTheTopDriveZipfMandelbrotToItsLimit) {
  const std::vector<double> loads = sorted_loads(std::vector<double>{1, 8, 9, 10, 10, 11}, "lean");

  const LikelihoodFit fit = fit_likelihood(LawFamily::zipf_mandelbrot, loads);

  EXPECT_TRUE(fit.at_bound);
  EXPECT_NEAR(fit.log_likelihood, fit_likelihood(LawFamily::exprank, loads).log_likelihood, 0.05);
}

}  // namespace
}  // namespace epskew
