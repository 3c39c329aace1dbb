#pragma once

/// The parts of the page of a fit, in reading order.

#include <string>
#include <vector>

#include "epskew/fit/fit.hpp"
#include "report/html/number.hpp"
#include "report/html/page.hpp"

namespace epskew {

Section curve_section(const FitReport& report);
Section family_section(const FitReport& report);
Section pooling_section(const FitReport& report);
Section window_section(const FitReport& report);
Section layer_section(const FitReport& report);

/// "experts", "8 ranks".
std::string level_name(const LevelFit& level);
/// Six significant digits, enough to draw and to read.
Value figure(double value);

}  // namespace epskew
