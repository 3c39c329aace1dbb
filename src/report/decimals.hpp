#pragma once

#include <algorithm>
#include <cmath>

namespace epskew {

/// Decimals that show a small number by three of its digits, and never fewer than `least`: 0.00123 with
/// 5, 3.1 with 2. At most 12.
inline int decimals_of(double value, int least) {
  const double size = std::abs(value);
  if (!(size > 0) || !std::isfinite(size)) return least;
  return std::clamp(2 - static_cast<int>(std::floor(std::log10(size))), least, 12);
}

}  // namespace epskew
