#include "fit/curves.hpp"

#include <boost/math/special_functions/erf.hpp>
#include <boost/math/special_functions/gamma.hpp>
#include <cmath>

#include "epskew/support/error.hpp"
#include "fit/policy.hpp"

namespace epskew::fit {
namespace {

double last_position(int n) {
  return (n - 0.5) / n;
}

}  // namespace

double literature_top(LawFamily family, Shape shape, int n) {
  switch (family) {
    case LawFamily::lognormal:
    case LawFamily::shifted_lognormal:
      return std::exp(shape.first * normal_quantile(last_position(n)));
    case LawFamily::gamma:
      return boost::math::gamma_p_inv(shape.first, last_position(n), DoubleOnly());
    case LawFamily::weibull:
      return std::pow(-std::log(0.5 / n), 1 / shape.first);
    case LawFamily::normal:
      return normal_quantile(last_position(n));
    case LawFamily::pareto:
      return std::pow(0.5 / n, -1 / shape.first);
    default:
      return 1;
  }
}

double normal_quantile(double p) {
  return -std::sqrt(2.0) * boost::math::erfc_inv(2 * p, DoubleOnly());
}

bool has_offset(LawFamily family) {
  return family == LawFamily::normal || family == LawFamily::shifted_lognormal;
}

std::vector<double> basis_curve(LawFamily family, Shape shape, int n) {
  EPSKEW_EXPECT(n >= 1);
  if (family == LawFamily::shifted_lognormal) return load_curve(Family::lognormal, shape.first, n);
  if (const auto generator = generator_family(family)) return load_curve(*generator, shape.first, n);
  std::vector<double> curve(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) {
    const double p = (i + 0.5) / n;
    const double r = n - i;
    double& y = curve[static_cast<std::size_t>(i)];
    if (family == LawFamily::normal) {
      y = normal_quantile(p);
    } else if (family == LawFamily::pareto) {
      y = std::exp(-std::log1p(-p) / shape.first);
    } else {
      y = std::exp(-shape.first * std::log1p((r - 1) / (1 + shape.second)));
    }
  }
  return curve;
}

std::vector<double> parameters_of(LawFamily family, Shape shape, double offset, double scale, double top,
                                  int n) {
  const double literature_scale = scale * top / literature_top(family, shape, n);
  switch (family) {
    case LawFamily::uniform:
      return {literature_scale};
    case LawFamily::lognormal:
      return {std::log(literature_scale), shape.first};
    case LawFamily::normal:
      return {offset, literature_scale};
    case LawFamily::zipf_mandelbrot:
      return {literature_scale, shape.first, shape.second};
    case LawFamily::shifted_lognormal:
      return {offset, std::log(literature_scale), shape.first};
    default:
      return {literature_scale, shape.first};
  }
}

}  // namespace epskew::fit
