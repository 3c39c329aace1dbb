#pragma once

/// What uniform random routing shows by chance alone: the skew that no model put there.

#include <cstdint>
#include <vector>

#include "epskew/trace/trace.hpp"
#include "fit/level_loads.hpp"

namespace epskew::fit {

/// How much of one layer or window there is to draw: [k] tokens with k distinct experts each.
using FloorShape = std::vector<std::int64_t>;

/// Of the rows [first, last) of a token trace's layer, by their entries that are not masked.
FloorShape floor_shape(const TraceLayer& layer, std::int64_t first, std::int64_t last);
/// Of a whole layer. Counts say nothing about tokens: every selection is then drawn by itself.
FloorShape floor_shape(const TraceLayer& layer);

/// The factor (largest load / mean load) of uniform random routing at each of `levels`, repeated for each of
/// `shapes` and averaged; a function of the seed. A shape without selections has the factor 1. `levels` are
/// not empty, all of one number of experts; `shapes` are not empty.
std::vector<double> uniform_floor(const std::vector<FloorShape>& shapes, const std::vector<Level>& levels,
                                  std::uint64_t seed);

}  // namespace epskew::fit
