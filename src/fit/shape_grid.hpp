#pragma once

/// Tabulated curves of a family: where to start a search, and all that resampling needs.

#include <span>
#include <vector>

#include "fit/curves.hpp"

namespace epskew::fit {

/// The shapes that are searched, in coordinates in which the sum of squares bends evenly: u for the first
/// shape (logarithmic), v for Zipf–Mandelbrot's q. Families with fewer shapes have a single coordinate there.
class ShapeGrid {
 public:
  ShapeGrid(LawFamily family, int n);

  LawFamily family() const { return family_; }
  int places() const { return n_; }
  int num_u() const { return static_cast<int>(u_.size()); }
  int num_v() const { return static_cast<int>(v_.size()); }
  double u(int i) const { return u_[static_cast<std::size_t>(i)]; }
  double v(int j) const { return v_[static_cast<std::size_t>(j)]; }
  Shape shape_at(double u, double v) const;

  struct Point {
    int i = 0;  ///< of u
    int j = 0;  ///< of v
  };
  /// The grid point with the least sum of squares. `loads` ascending, mean 1.
  Point best(std::span<const double> loads) const;
  /// The sum of squares and the parameters at a grid point.
  double sse_at(Point point, std::span<const double> loads) const;
  std::vector<double> parameters_at(Point point, std::span<const double> loads) const;

 private:
  struct Entry {
    double centre = 0;  ///< mean of the basis where the family has an offset, else 0
    double norm = 0;    ///< of the basis less centre
    double top = 0;     ///< basis at its largest place
  };
  std::size_t index(Point point) const { return static_cast<std::size_t>(point.i) * v_.size() + point.j; }
  double projection(std::size_t entry, std::span<const double> loads) const;

  LawFamily family_;
  int n_;
  std::vector<double> u_;
  std::vector<double> v_;
  std::vector<Entry> entries_;  ///< [num_u][num_v]
  std::vector<double> units_;   ///< [num_u][num_v][n]: (basis - centre) / norm
};

}  // namespace epskew::fit
