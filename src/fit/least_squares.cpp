#include "epskew/fit/least_squares.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/math/tools/minima.hpp>
#include <cmath>
#include <numeric>

#include "epskew/support/error.hpp"
#include "fit/shape_grid.hpp"

namespace epskew {
namespace {

using fit::Shape;
using fit::ShapeGrid;
using Loads = std::span<const double>;

/// Half of a double's bits: finer than the square root of its precision no minimum can be told.
constexpr int minimum_bits = 26;
/// Nearer than this (1 % of the shape) to the end of a bracket a minimum counts as lying there.
constexpr double edge_tolerance = 1e-2;

/// offset + scale · basis, the best for one shape.
struct Projected {
  Shape shape;
  std::vector<double> basis;
  double offset = 0;
  double scale = 0;
  double sse = 0;
};

Projected project(LawFamily family, Shape shape, Loads loads) {
  const int n = static_cast<int>(loads.size());
  Projected p{shape, fit::basis_curve(family, shape, n)};
  const double centre =
      fit::has_offset(family) ? std::accumulate(p.basis.begin(), p.basis.end(), 0.0) / n : 0.0;
  double cross = 0;
  double square = 0;
  for (std::size_t i = 0; i < loads.size(); ++i) {
    cross += loads[i] * (p.basis[i] - centre);
    square += (p.basis[i] - centre) * (p.basis[i] - centre);
  }
  p.scale = cross / square;
  p.offset = fit::has_offset(family) ? 1 - p.scale * centre : 0;
  for (std::size_t i = 0; i < loads.size(); ++i) {
    const double residual = loads[i] - p.offset - p.scale * p.basis[i];
    p.sse += residual * residual;
  }
  return p;
}

struct Minimum {
  double at = 0;
  double value = 0;
  bool at_bound = false;  ///< at an end of the grid
};

/// The minimum along one coordinate of the grid: bracketed by the cells around `index`, and by the next ones
/// on that side as long as it lies at the edge of its bracket. The valley of two shapes lies across the grid,
/// so its floor may be several cells away from the lowest grid point.
template <class Function, class Coordinate>
Minimum minimise(Function f, Coordinate coordinate, int index, int count) {
  for (int moves = 0;; ++moves) {
    const int low = std::max(index - 1, 0);
    const int high = std::min(index + 1, count - 1);
    std::uintmax_t steps = 100;
    const auto [at, value] =
        boost::math::tools::brent_find_minima(f, coordinate(low), coordinate(high), minimum_bits, steps);
    const bool at_low = at - coordinate(low) < edge_tolerance;
    const bool at_high = coordinate(high) - at < edge_tolerance;
    if ((!at_low && !at_high) || moves == count) return {at, value, false};
    const int next = at_low ? low : high;
    if (next == 0 || next == count - 1) return {at, value, true};
    index = next;
  }
}

struct Found {
  Shape shape;
  bool at_bound = false;
};

Found refine(const ShapeGrid& grid, Loads loads) {
  const auto start = grid.best(loads);
  if (grid.num_u() == 1) return {grid.shape_at(grid.u(0), grid.v(0)), false};
  const auto best_u = [&](double v) {
    const auto sse = [&](double u) { return project(grid.family(), grid.shape_at(u, v), loads).sse; };
    return minimise(
        sse, [&](int i) { return grid.u(i); }, start.i, grid.num_u());
  };
  if (grid.num_v() == 1) {
    const Minimum u = best_u(grid.v(0));
    return {grid.shape_at(u.at, grid.v(0)), u.at_bound};
  }
  const auto profile = [&](double v) { return best_u(v).value; };
  const Minimum v = minimise(
      profile, [&](int j) { return grid.v(j); }, start.j, grid.num_v());
  const Minimum u = best_u(v.at);
  return {grid.shape_at(u.at, v.at), u.at_bound || v.at_bound};
}

/// Weights of the parabola through (x0, y0), (x1, y1), (x2, y2) at its lowest point, that is sum of w_k y(x)
/// there for any y; the middle point alone where the three do not bend upwards.
std::array<double, 3> weights_at_minimum(const std::array<double, 3>& x, const std::array<double, 3>& y) {
  const double left = (y[1] - y[0]) / (x[1] - x[0]);
  const double right = (y[2] - y[1]) / (x[2] - x[1]);
  const double bend = (right - left) / (x[2] - x[0]);
  if (!(bend > 0)) return {0, 1, 0};
  const double at = std::clamp(0.5 * (x[0] + x[1]) - left / (2 * bend), x[0], x[2]);
  return {(at - x[1]) * (at - x[2]) / ((x[0] - x[1]) * (x[0] - x[2])),
          (at - x[0]) * (at - x[2]) / ((x[1] - x[0]) * (x[1] - x[2])),
          (at - x[0]) * (at - x[1]) / ((x[2] - x[0]) * (x[2] - x[1]))};
}

/// Moves `fit` from the grid point `middle` to the lowest point along one coordinate.
void interpolate(const ShapeGrid& grid, Loads loads, const std::array<ShapeGrid::Point, 3>& points,
                 const std::array<double, 3>& x, ApproximateFit& fit) {
  const std::array<double, 3> sse = {grid.sse_at(points[0], loads), grid.sse_at(points[1], loads),
                                     grid.sse_at(points[2], loads)};
  const auto weights = weights_at_minimum(x, sse);
  const std::vector<double> middle = grid.parameters_at(points[1], loads);
  fit.sse -= sse[1];
  for (std::size_t k = 0; k < 3; ++k) {
    const std::vector<double> at = grid.parameters_at(points[k], loads);
    fit.sse += weights[k] * sse[k];
    for (std::size_t p = 0; p < at.size(); ++p) fit.parameters[p] += weights[k] * (at[p] - middle[p]);
  }
}

}  // namespace

struct LeastSquares::Tables {
  int n;
  std::vector<ShapeGrid> grids;
  const ShapeGrid& of(LawFamily family) const { return grids[static_cast<std::size_t>(family)]; }
};

LeastSquares::LeastSquares(int n) : tables_(std::make_unique<Tables>()) {
  EPSKEW_EXPECT(n >= 2);
  tables_->n = n;
  for (const LawFamily family : law_families()) tables_->grids.emplace_back(family, n);
}

LeastSquares::~LeastSquares() = default;
LeastSquares::LeastSquares(LeastSquares&&) noexcept = default;
LeastSquares& LeastSquares::operator=(LeastSquares&&) noexcept = default;

int LeastSquares::places() const {
  return tables_->n;
}

LeastSquaresFit LeastSquares::fit(LawFamily family, Loads loads) const {
  EPSKEW_EXPECT(static_cast<int>(loads.size()) == places());
  const Found found = refine(tables_->of(family), loads);
  Projected best = project(family, found.shape, loads);
  LeastSquaresFit fit;
  fit.family = family;
  fit.parameters =
      fit::parameters_of(family, best.shape, best.offset, best.scale, best.basis.back(), places());
  fit.sse = best.sse;
  fit.at_bound = found.at_bound;
  for (double& y : best.basis) y = best.offset + best.scale * y;
  fit.max_error = best.basis.back() / loads.back() - 1;
  fit.curve = std::move(best.basis);
  return fit;
}

ApproximateFit LeastSquares::approximate(LawFamily family, Loads loads) const {
  EPSKEW_EXPECT(static_cast<int>(loads.size()) == places());
  const ShapeGrid& grid = tables_->of(family);
  const auto [i, j] = grid.best(loads);
  ApproximateFit fit{grid.parameters_at({i, j}, loads), grid.sse_at({i, j}, loads)};
  if (i > 0 && i + 1 < grid.num_u()) {
    interpolate(grid, loads, {{{i - 1, j}, {i, j}, {i + 1, j}}}, {grid.u(i - 1), grid.u(i), grid.u(i + 1)},
                fit);
  }
  if (j > 0 && j + 1 < grid.num_v()) {
    interpolate(grid, loads, {{{i, j - 1}, {i, j}, {i, j + 1}}}, {grid.v(j - 1), grid.v(j), grid.v(j + 1)},
                fit);
  }
  fit.sse = std::max(fit.sse, 0.0);
  return fit;
}

std::vector<double> sorted_loads(Loads loads, const std::string& what) {
  if (loads.size() < 2) {
    throw UsageError(
        fmt::format("{} has {} load (a law needs at least two places); choose more experts or ranks", what,
                    loads.size()));
  }
  for (std::size_t i = 0; i < loads.size(); ++i) {
    if (!std::isfinite(loads[i]) || loads[i] < 0) {
      throw UsageError(
          fmt::format("{} has the load {} at place {} (loads are counts: finite and not negative); "
                      "correct the recording",
                      what, loads[i], i));
    }
  }
  std::vector<double> sorted(loads.begin(), loads.end());
  std::sort(sorted.begin(), sorted.end());
  if (sorted.back() == 0) {
    throw UsageError(what + " has no selections (every load is 0); leave it out with --layers");
  }
  if (sorted.front() == sorted.back()) {
    throw UsageError(what +
                     " has equal loads at every place (there is no skew to fit); leave it out with --layers");
  }
  const double mean = std::accumulate(sorted.begin(), sorted.end(), 0.0) / static_cast<double>(sorted.size());
  for (double& load : sorted) load /= mean;
  return sorted;
}

}  // namespace epskew
