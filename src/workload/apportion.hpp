#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace epskew {

/// Splits `total` in proportion to `weights` (>= 0; all zero counts as all equal) into integers of at most
/// `cap` each, by largest remainder, ties to the lower index. What a capped place cannot take goes to the
/// others in proportion. Precondition: total <= cap · weights.size().
std::vector<std::int64_t> apportion(std::int64_t total, std::span<const double> weights, std::int64_t cap);

}  // namespace epskew
