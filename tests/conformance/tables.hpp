#pragma once

/// Small routings for tests, built without the workload module.

#include <cstdint>
#include <string>
#include <vector>

#include "epskew/exchange/shape.hpp"
#include "epskew/routing/routing_table.hpp"

namespace epskew::testing {

enum class Destinations { uniform, all_to_one };

struct TableSpec {
  std::vector<std::int32_t> tokens_per_rank;
  int num_experts = 8;
  int topk = 2;
  Destinations destinations = Destinations::uniform;  ///< all_to_one: rank 0's experts before any other
  int masked_entries = 0;                             ///< random entries set to -1
  int masked_tokens = 0;                              ///< whole tokens without a selection
  std::uint64_t seed = 1;
};

RoutingTable make_table(const TableSpec& spec);
ExchangeShape shape_of(const RoutingTable& table, int hidden);

}  // namespace epskew::testing
