#pragma once

#include <cstdint>
#include <string>

#include "epskew/workload/generate.hpp"

namespace epskew {

/// The shape of a routing as a spec: experts, top-k and tokens per rank, nothing masked.
WorkloadSpec shape_spec(const RoutingTable& table);

/// A valid routing that was not generated here, with what its record has to say: the largest factor that
/// tokens with as many selections could reach, and the floor of uniform random routing with as many
/// selections in all.
Workload recorded_workload(RoutingTable table, std::string distribution, std::uint64_t seed);

}  // namespace epskew
