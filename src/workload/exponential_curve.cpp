#include "workload/exponential_curve.hpp"

#include <algorithm>
#include <boost/math/tools/toms748_solve.hpp>
#include <cmath>
#include <numeric>

namespace epskew {
namespace {

constexpr int shape_bits = 30;
constexpr double largest_slope = 0x1p20;

double snap_shape(double value) {
  int exponent = 0;
  const double mantissa = std::frexp(value, &exponent);
  return std::ldexp(std::floor(std::ldexp(mantissa, shape_bits) + 0.5), exponent - shape_bits);
}

}  // namespace

void normalise_and_snap(std::vector<double>& loads) {
  const double sum = std::accumulate(loads.begin(), loads.end(), 0.0);
  const double scale = static_cast<double>(loads.size()) / sum;
  for (double& load : loads) load = std::floor(load * scale * 0x1p32 + 0.5) * 0x1p-32;
}

std::vector<double> exponential_curve(const std::vector<double>& basis, double slope) {
  std::vector<double> loads(basis.size());
  const auto relative = [&](double b) { return std::isinf(b) ? 0.0 : std::exp(slope * (b - basis.back())); };
  std::transform(basis.begin(), basis.end(), loads.begin(), relative);
  return loads;
}

double factor_of_curve(const std::vector<double>& loads) {
  const double sum = std::accumulate(loads.begin(), loads.end(), 0.0);
  return loads.back() * static_cast<double>(loads.size()) / sum;
}

double solve_increasing(const std::function<double(double)>& increasing, double target) {
  if (increasing(0.0) >= target) return 0.0;
  double low = 0.0;
  double high = 1.0;
  while (increasing(high) < target) {
    if (high >= largest_slope) return high;
    low = high;
    high *= 2.0;
  }
  std::uintmax_t steps = 200;
  const auto bracket =
      boost::math::tools::toms748_solve([&](double x) { return increasing(x) - target; }, low, high,
                                        boost::math::tools::eps_tolerance<double>(44), steps);
  return snap_shape(0.5 * (bracket.first + bracket.second));
}

}  // namespace epskew
