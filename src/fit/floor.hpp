#pragma once

/// What uniform random routing shows by chance alone: the skew that no model put there.

#include <cstdint>
#include <vector>

#include "fit/level_loads.hpp"

namespace epskew::fit {

struct FloorShape {
  int num_experts = 0;
  int topk = 1;  ///< distinct experts a token
  std::int64_t tokens = 0;
};

/// The mean factor (largest load / mean load) at each of `levels` over repeated uniform random routings of
/// the shape, a function of the seed. 1 where there are no tokens.
std::vector<double> uniform_floor(const FloorShape& shape, const std::vector<Level>& levels,
                                  std::uint64_t seed);

}  // namespace epskew::fit
