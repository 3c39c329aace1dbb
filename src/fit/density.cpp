#include "fit/density.hpp"

#include <algorithm>
#include <boost/math/special_functions/erf.hpp>
#include <boost/math/special_functions/gamma.hpp>
#include <cmath>
#include <limits>

#include "epskew/support/error.hpp"
#include "fit/curves.hpp"
#include "fit/policy.hpp"

namespace epskew::fit {
namespace {

constexpr double none = -std::numeric_limits<double>::infinity();
const double log_sqrt_two_pi = 0.5 * std::log(2 * std::acos(-1.0));

double normal_cumulative(double z) {
  return 0.5 * boost::math::erfc(-z / std::sqrt(2.0), DoubleOnly());
}
double normal_log_density(double z) {
  return -0.5 * z * z - log_sqrt_two_pi;
}

/// ln x = a + b·z with z standard normal and x counted from `shift`.
struct Lognormal {
  double shift, mu, sigma;
  double z(double x) const { return (std::log(x - shift) - mu) / sigma; }
};

Lognormal lognormal_of(const Density& law) {
  const auto& p = law.parameters;
  return law.family == LawFamily::lognormal ? Lognormal{0, p[0], p[1]} : Lognormal{p[0], p[1], p[2]};
}

/// x = scale · g(r) with ln g falling in r, r even on [1/2, n + 1/2]: the three rank-size laws. The
/// distribution function at x is 1 - (r(x) - 1/2) / n, the density -dr/dx / n.
double rank_of(const Density& law, double x) {
  const auto& p = law.parameters;
  const double fall = std::log(p[0] / x);
  switch (law.family) {
    case LawFamily::exprank:
      return 1 + fall / p[1];
    case LawFamily::powerlaw:
      return std::exp(fall / p[1]);
    default:
      return (1 + p[2]) * std::exp(fall / p[1]) - p[2];
  }
}

double load_of_rank(const Density& law, double r) {
  const auto& p = law.parameters;
  switch (law.family) {
    case LawFamily::exprank:
      return p[0] * std::exp(-p[1] * (r - 1));
    case LawFamily::powerlaw:
      return p[0] * std::exp(-p[1] * std::log(r));
    default:
      return p[0] * std::exp(-p[1] * std::log((r + p[2]) / (1 + p[2])));
  }
}

/// -dr/d(ln x).
double rank_slope(const Density& law, double r) {
  const auto& p = law.parameters;
  switch (law.family) {
    case LawFamily::exprank:
      return 1 / p[1];
    case LawFamily::powerlaw:
      return r / p[1];
    default:
      return (r + p[2]) / p[1];
  }
}

double rank_size_log_density(const Density& law, double x) {
  if (x <= 0) return none;
  const double r = rank_of(law, x);
  // The smallest and largest load set the bounds, so they come back with the last bit either way.
  constexpr double slack = 1e-9;
  if (r < 0.5 * (1 - slack) || r > (law.n + 0.5) * (1 + slack)) return none;
  return std::log(rank_slope(law, r) / law.n) - std::log(x);
}

}  // namespace

double log_density(const Density& law, double x) {
  const auto& p = law.parameters;
  switch (law.family) {
    case LawFamily::lognormal:
    case LawFamily::shifted_lognormal: {
      const Lognormal log_law = lognormal_of(law);
      if (x <= log_law.shift) return none;
      return normal_log_density(log_law.z(x)) - std::log(log_law.sigma * (x - log_law.shift));
    }
    case LawFamily::gamma:
      if (x <= 0) return none;
      return (p[1] - 1) * std::log(x / p[0]) - x / p[0] - std::lgamma(p[1]) - std::log(p[0]);
    case LawFamily::weibull:
      if (x <= 0) return none;
      return std::log(p[1] / p[0]) + (p[1] - 1) * std::log(x / p[0]) - std::pow(x / p[0], p[1]);
    case LawFamily::normal:
      return normal_log_density((x - p[0]) / p[1]) - std::log(p[1]);
    case LawFamily::pareto:
      return x < p[0] ? none : std::log(p[1] / x) - p[1] * std::log(x / p[0]);
    default:
      EPSKEW_EXPECT(law.family != LawFamily::uniform);
      return rank_size_log_density(law, x);
  }
}

double cumulative(const Density& law, double x) {
  const auto& p = law.parameters;
  switch (law.family) {
    case LawFamily::lognormal:
    case LawFamily::shifted_lognormal: {
      const Lognormal log_law = lognormal_of(law);
      return x <= log_law.shift ? 0 : normal_cumulative(log_law.z(x));
    }
    case LawFamily::gamma:
      return x <= 0 ? 0 : boost::math::gamma_p(p[1], x / p[0], DoubleOnly());
    case LawFamily::weibull:
      return x <= 0 ? 0 : -std::expm1(-std::pow(x / p[0], p[1]));
    case LawFamily::normal:
      return normal_cumulative((x - p[0]) / p[1]);
    case LawFamily::pareto:
      return x <= p[0] ? 0 : -std::expm1(-p[1] * std::log(x / p[0]));
    default:
      EPSKEW_EXPECT(law.family != LawFamily::uniform);
      return x <= 0 ? 0 : std::clamp(1 - (rank_of(law, x) - 0.5) / law.n, 0.0, 1.0);
  }
}

double quantile(const Density& law, double probability) {
  const auto& p = law.parameters;
  switch (law.family) {
    case LawFamily::lognormal:
    case LawFamily::shifted_lognormal: {
      const Lognormal log_law = lognormal_of(law);
      return log_law.shift + std::exp(log_law.mu + log_law.sigma * normal_quantile(probability));
    }
    case LawFamily::gamma:
      return p[0] * boost::math::gamma_p_inv(p[1], probability, DoubleOnly());
    case LawFamily::weibull:
      return p[0] * std::pow(-std::log1p(-probability), 1 / p[1]);
    case LawFamily::normal:
      return p[0] + p[1] * normal_quantile(probability);
    case LawFamily::pareto:
      return p[0] * std::exp(-std::log1p(-probability) / p[1]);
    default:
      EPSKEW_EXPECT(law.family != LawFamily::uniform);
      return load_of_rank(law, 0.5 + law.n * (1 - probability));
  }
}

}  // namespace epskew::fit
