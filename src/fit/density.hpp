#pragma once

/// The distribution of one place's load under a law.

#include <span>

#include "epskew/fit/law.hpp"

namespace epskew::fit {

/// A law with its parameters (as named by parameter_names) as a distribution; `n` matters to rank-size laws
/// alone.
struct Density {
  LawFamily family;
  std::span<const double> parameters;
  int n;
};

/// Natural logarithm of the density at `x`; -infinity outside the law's range. Not for uniform.
double log_density(const Density& law, double x);
/// The distribution function at `x`.
double cumulative(const Density& law, double x);
/// The load that is not exceeded with probability `p` in (0, 1).
double quantile(const Density& law, double p);

}  // namespace epskew::fit
