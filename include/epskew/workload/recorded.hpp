#pragma once

#include <cstdint>
#include <string>

#include "epskew/workload/generate.hpp"

namespace epskew {

/// A valid routing that was not generated here, with what its record has to say: the largest factor that
/// tokens with as many selections could reach, and the floor of uniform random routing with as many
/// selections in all.
Workload recorded_workload(RoutingTable table, std::string distribution, std::uint64_t seed);

}  // namespace epskew
