#include "epskew/workload/family.hpp"

#include <array>
#include <boost/math/special_functions/erf.hpp>
#include <boost/math/special_functions/gamma.hpp>
#include <cmath>

#include "epskew/support/error.hpp"
#include "workload/exponential_curve.hpp"
#include "workload/spread.hpp"

namespace epskew {
namespace {

struct FamilyNames {
  Family family;
  std::string_view name;
  std::string_view shape;
};

constexpr std::array families = {
    FamilyNames{Family::uniform, "uniform", ""},      FamilyNames{Family::lognormal, "lognormal", "sigma"},
    FamilyNames{Family::gamma, "gamma", "shape"},     FamilyNames{Family::powerlaw, "powerlaw", "alpha"},
    FamilyNames{Family::weibull, "weibull", "shape"}, FamilyNames{Family::exprank, "exprank", "rate"},
};

const FamilyNames& names_of(Family family) {
  return families[static_cast<std::size_t>(family)];
}

// long double inside Boost would make results depend on the platform's.
using Policy = boost::math::policies::policy<boost::math::policies::promote_double<false>,
                                             boost::math::policies::promote_float<false>>;

double normal_quantile(double p) {
  return -std::sqrt(2.0) * boost::math::erfc_inv(2.0 * p, Policy());
}

/// basis_i of the families whose loads are exp(slope · basis_i), ascending in i = 1..n.
double basis_value(Family family, int i, int n) {
  const double p = (i - 0.5) / n;
  const double rank = n - i + 1;
  switch (family) {
    case Family::lognormal:
      return normal_quantile(p);
    case Family::weibull:
      return std::log(-std::log1p(-p));
    case Family::powerlaw:
      return -std::log(rank);
    case Family::exprank:
      return 1.0 - rank;
    case Family::uniform:
    case Family::gamma:
      break;
  }
  return 0.0;
}

std::vector<double> basis_of(Family family, int n) {
  std::vector<double> basis(static_cast<std::size_t>(n));
  for (int i = 1; i <= n; ++i) basis[static_cast<std::size_t>(i - 1)] = basis_value(family, i, n);
  return basis;
}

/// Quantiles of gamma(k), up to scale. From k = 10^6 on by Wilson and Hilferty's cube (PNAS 17, 1931), whose
/// error there is below the grid that loads are snapped to.
std::vector<double> gamma_curve(double k, int n) {
  std::vector<double> loads(static_cast<std::size_t>(n));
  for (int i = 1; i <= n; ++i) {
    const double p = (i - 0.5) / n;
    double& load = loads[static_cast<std::size_t>(i - 1)];
    if (k < 1e6) {
      load = boost::math::gamma_p_inv(k, p, Policy());
    } else {
      const double root = 1.0 - 1.0 / (9.0 * k) + normal_quantile(p) / (3.0 * std::sqrt(k));
      load = root * root * root;
    }
  }
  return loads;
}

}  // namespace

double spread_of_shape(Family family, double shape) {
  switch (family) {
    case Family::weibull:
      return 1.0 / shape;
    case Family::gamma:
      return 1.0 / std::sqrt(shape);
    default:
      return shape;
  }
}

double shape_of_spread(Family family, double spread) {
  switch (family) {
    case Family::weibull:
      return 1.0 / spread;
    case Family::gamma:
      return 1.0 / (spread * spread);
    default:
      return spread;
  }
}

std::string_view name_of(Family family) {
  return names_of(family).name;
}

std::optional<Family> find_family(std::string_view name) {
  for (const FamilyNames& entry : families) {
    if (entry.name == name) return entry.family;
  }
  return std::nullopt;
}

std::string family_names() {
  std::string all;
  for (const FamilyNames& entry : families) all += (all.empty() ? "" : ", ") + std::string(entry.name);
  return all;
}

std::string_view shape_name(Family family) {
  return names_of(family).shape;
}

std::vector<double> load_curve(Family family, double shape, int n) {
  EPSKEW_EXPECT(n >= 1);
  const double spread = spread_of_shape(family, shape);
  if (family == Family::uniform || spread == 0.0)
    return std::vector<double>(static_cast<std::size_t>(n), 1.0);
  EPSKEW_EXPECT(spread > 0.0);
  std::vector<double> loads =
      family == Family::gamma ? gamma_curve(shape, n) : exponential_curve(basis_of(family, n), spread);
  normalise_and_snap(loads);
  return loads;
}

double shape_for_factor(Family family, double factor, int n) {
  EPSKEW_EXPECT(n >= 1 && factor >= 1.0 && (factor < n || factor == 1.0));
  if (family == Family::uniform) return 0.0;
  const std::vector<double> basis = basis_of(family, n);
  const auto factor_at = [&](double spread) {
    if (spread == 0.0) return 1.0;
    if (family == Family::gamma) return factor_of_curve(gamma_curve(shape_of_spread(family, spread), n));
    return factor_of_curve(exponential_curve(basis, spread));
  };
  return shape_of_spread(family, solve_increasing(factor_at, factor));
}

}  // namespace epskew
