#include "fit/shape_grid.hpp"

#include <cmath>
#include <numeric>

namespace epskew::fit {
namespace {

struct Range {
  double low;
  double high;
  int points;
};

/// Wide enough for any recorded load, from those of 10^10 selections a place that chance alone made unequal
/// (a spread of 10^-5) on; the ends stand for "flat" and "all on one place". About 15 points for a factor e;
/// half as many of Zipf–Mandelbrot, which has a table of two shapes. Beside an offset the flat end is the
/// normal law, whose spread is free.
Range first_range(LawFamily family, int n) {
  switch (family) {
    case LawFamily::lognormal:
      return {1e-5, 5, 197};
    case LawFamily::shifted_lognormal:
      return {0.01, 5, 96};
    case LawFamily::gamma:
      return {0.05, 1e10, 205};  // its spread is 1 / sqrt(shape)
    case LawFamily::weibull:
      return {0.2, 2e5, 208};
    case LawFamily::exprank:
      return {1e-5 / n, 10, 236};
    case LawFamily::powerlaw:
      return {1e-5, 8, 205};
    case LawFamily::pareto:
      return {0.2, 2e5, 208};
    case LawFamily::zipf_mandelbrot:
      return {2e-5, 20, 95};  // ln of the curve's largest / smallest load, see shape_at
    default:
      return {1, 1, 1};
  }
}

std::vector<double> logarithmic(Range range) {
  std::vector<double> at(static_cast<std::size_t>(range.points));
  const double low = std::log(range.low);
  const double step = range.points > 1 ? (std::log(range.high) - low) / (range.points - 1) : 0;
  for (std::size_t i = 0; i < at.size(); ++i) at[i] = low + step * static_cast<double>(i);
  return at;
}

/// Several sums at once: the compiler may not reorder one, and a chain of additions would set the pace.
double dot(const double* a, const double* b, std::size_t n) {
  double sum[4] = {0, 0, 0, 0};
  std::size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    for (std::size_t k = 0; k < 4; ++k) sum[k] += a[i + k] * b[i + k];
  }
  for (; i < n; ++i) sum[0] += a[i] * b[i];
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

}  // namespace

ShapeGrid::ShapeGrid(LawFamily family, int n)
    : family_(family), n_(n), u_(logarithmic(first_range(family, n))), v_{0.0} {
  // q + 1 from 0.05 (steeper at the head than any power law) to 10^4 n (an exponential in all but name).
  if (family == LawFamily::zipf_mandelbrot) v_ = logarithmic({0.05, 1e4 * n, 36});
  const std::size_t places = static_cast<std::size_t>(n);
  entries_.resize(u_.size() * v_.size());
  units_.resize(entries_.size() * places);
  for (std::size_t k = 0; k < entries_.size(); ++k) {
    const std::vector<double> basis = basis_curve(family, shape_at(u_[k / v_.size()], v_[k % v_.size()]), n);
    Entry& entry = entries_[k];
    entry.top = basis.back();
    if (has_offset(family)) entry.centre = std::accumulate(basis.begin(), basis.end(), 0.0) / n;
    double* unit = &units_[k * places];
    for (std::size_t i = 0; i < places; ++i) unit[i] = basis[i] - entry.centre;
    entry.norm = std::sqrt(dot(unit, unit, places));
    for (std::size_t i = 0; i < places; ++i) unit[i] /= entry.norm;
  }
}

Shape ShapeGrid::shape_at(double u, double v) const {
  if (family_ != LawFamily::zipf_mandelbrot) return {std::exp(u), 0};
  // s and q trade against each other; the span of the curve and q hardly do.
  const double q = std::expm1(v);
  return {std::exp(u) / std::log((n_ + q) / (1 + q)), q};
}

double ShapeGrid::projection(std::size_t entry, std::span<const double> loads) const {
  return dot(loads.data(), &units_[entry * static_cast<std::size_t>(n_)], static_cast<std::size_t>(n_));
}

ShapeGrid::Point ShapeGrid::best(std::span<const double> loads) const {
  std::size_t best = 0;
  double largest = -1;
  for (std::size_t k = 0; k < entries_.size(); ++k) {
    const double length = projection(k, loads);
    if (length > largest) {
      largest = length;
      best = k;
    }
  }
  return {static_cast<int>(best / v_.size()), static_cast<int>(best % v_.size())};
}

double ShapeGrid::sse_at(Point point, std::span<const double> loads) const {
  const double length = projection(index(point), loads);
  const double mean_part = has_offset(family_) ? n_ : 0;  // the offset takes the mean, which is 1
  return dot(loads.data(), loads.data(), loads.size()) - mean_part - length * length;
}

std::vector<double> ShapeGrid::parameters_at(Point point, std::span<const double> loads) const {
  const Entry& entry = entries_[index(point)];
  const double scale = projection(index(point), loads) / entry.norm;
  const double offset = has_offset(family_) ? 1 - scale * entry.centre : 0;
  return parameters_of(family_, shape_at(u(point.i), v(point.j)), offset, scale, entry.top, n_);
}

}  // namespace epskew::fit
