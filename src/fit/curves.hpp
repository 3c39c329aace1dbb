#pragma once

/// Curves reduced to their free shapes; scale and offset enter linearly and are found in closed form.

#include <optional>
#include <span>
#include <vector>

#include "epskew/fit/law.hpp"

namespace epskew::fit {

/// What is left free once scale and offset are projected out. Families without a shape ignore both.
struct Shape {
  double first = 1;  ///< lognormal sigma, gamma and Weibull shape, rate, alpha; Zipf–Mandelbrot's exponent s
  double second = 0;  ///< Zipf–Mandelbrot's q
};

/// Whether the law has an offset besides its scale: a + b·curve.
bool has_offset(LawFamily family);

/// The curve of the shape over n places, ascending, in some fixed scale.
std::vector<double> basis_curve(LawFamily family, Shape shape, int n);

/// The largest place of the curve where the scale named in LawFamily's formula is 1 and its offset 0.
double literature_top(LawFamily family, Shape shape, int n);

/// The parameters of offset + scale · basis, as named by parameter_names. `top` is the basis at its largest
/// place.
std::vector<double> parameters_of(LawFamily family, Shape shape, double offset, double scale, double top,
                                  int n);

/// The normal quantile at p in (0, 1).
double normal_quantile(double p);

}  // namespace epskew::fit
