#pragma once

/// The fingerprint of a routing: two runs with the same digest routed identically.

#include <string>

#include "epskew/routing/routing_table.hpp"

namespace epskew {

/// XXH3-128 over the table in a fixed little-endian serialisation (shape, tokens per rank, ids as int32,
/// weights as binary32), as 32 lower-case hexadecimal digits. The same on every machine.
std::string digest(const RoutingTable& table);

}  // namespace epskew
