#pragma once

/// Curves of the form load_i = exp(slope · basis_i): most families are one, and a recorded curve is bent as
/// one.

#include <functional>
#include <vector>

namespace epskew {

/// Scales `loads` to mean 1 and snaps them to the grid of 2^-32. `loads` must not be all zero.
void normalise_and_snap(std::vector<double>& loads);

/// exp(slope · basis_i) up to a common scale. `basis` ascends; -infinity means no load at any slope.
std::vector<double> exponential_curve(const std::vector<double>& basis, double slope);

/// max / mean of ascending loads.
double factor_of_curve(const std::vector<double>& loads);

/// x >= 0 with increasing(x) = target, found by doubling and TOMS 748 and rounded to 30 significant bits, so
/// that the last bit of a libm cannot change what is built from it. 0 where increasing(0) >= target; where
/// the function stays below the target for every x a double can tell apart, the x at which the search gave
/// up.
double solve_increasing(const std::function<double(double)>& increasing, double target);

}  // namespace epskew
