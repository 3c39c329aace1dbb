#pragma once

#include "epskew/routing/routing_table.hpp"

namespace epskew {

/// Two ranks of two experts, top-2: rank 0 has two tokens, rank 1 has one; the last entry is masked.
inline RoutingTable small_table() {
  RoutingTable table;
  table.num_experts = 4;
  table.topk = 2;
  table.tokens_per_rank = {2, 1};
  table.topk_idx = {0, 1, /**/ 1, 2, /**/ 0, -1};
  table.topk_weights = {0.5f, 0.5f, 0.25f, 0.75f, 1.0f, 0.0f};
  return table;
}

}  // namespace epskew
