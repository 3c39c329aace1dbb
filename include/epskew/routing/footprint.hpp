#pragma once

/// What a routing takes in memory, told before any of it is made (support/memory.hpp refuses what is too
/// much). In double: what users ask for may be beyond any integer.

namespace epskew {

/// Bytes of RoutingTable::topk_idx and topk_weights.
double table_bytes(double num_tokens, int topk);

/// Bytes of RoutingLoad::selections and messages, which have an entry for every pair of ranks.
double pair_counts_bytes(int num_ranks);

}  // namespace epskew
