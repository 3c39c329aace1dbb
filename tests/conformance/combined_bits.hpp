#pragma once

/// Whether two exchanges give the same bits.

#include <string>

#include "epskew/exchange/shape.hpp"
#include "epskew/routing/routing_table.hpp"

namespace epskew::testing {

/// Combined tokens of all ranks on random data, one after the other, as bytes, from `backend` at hidden 384.
/// Throws WrongResult where the oracle refuses them.
std::string combined_bits(const char* backend, const RoutingTable& table, const ExchangeOptions& options);

}  // namespace epskew::testing
