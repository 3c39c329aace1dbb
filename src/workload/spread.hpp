#pragma once

#include "epskew/workload/family.hpp"

namespace epskew {

/// Every family bends monotonically with its spread: 0 is flat, infinity puts all load on one place. It is
/// the shape itself for lognormal, powerlaw and exprank, 1 / shape for weibull, 1 / sqrt(shape) for gamma.
double spread_of_shape(Family family, double shape);
double shape_of_spread(Family family, double spread);

}  // namespace epskew
