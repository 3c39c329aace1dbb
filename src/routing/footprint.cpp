#include "epskew/routing/footprint.hpp"

#include "epskew/routing/load.hpp"
#include "epskew/routing/routing_table.hpp"

namespace epskew {

double table_bytes(double num_tokens, int topk) {
  constexpr double entry_bytes = sizeof(decltype(RoutingTable::topk_idx)::value_type) +
                                 sizeof(decltype(RoutingTable::topk_weights)::value_type);
  return num_tokens * topk * entry_bytes;
}

double pair_counts_bytes(int num_ranks) {
  constexpr double pair_bytes = sizeof(decltype(RoutingLoad::selections)::value_type) +
                                sizeof(decltype(RoutingLoad::messages)::value_type);
  return pair_bytes * num_ranks * num_ranks;
}

}  // namespace epskew
