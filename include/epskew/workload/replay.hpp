#pragma once

/// Recorded expert counts turned into a routing.

#include <cstdint>
#include <span>
#include <vector>

#include "epskew/routing/routing_table.hpp"

namespace epskew {

struct RealisedCounts {
  RoutingTable table;
  std::vector<std::int64_t> counts;  ///< [E], what the table holds
  /// (tokens · topk) / (sum of the recorded counts). Where it is not 1, counts are the recorded ones scaled
  /// by it and rounded by largest remainder; where it is 1 they are the recorded ones exactly.
  double scale = 1.0;
};

/// A random routing of exactly topk distinct experts for every token whose expert totals are `counts` (scaled
/// where they do not sum to tokens · topk). A function of its arguments alone. Throws UsageError for a shape
/// that makes no sense, negative or all-zero counts, and an expert that would be needed more than once by
/// some token.
RealisedCounts realise_expert_counts(const std::vector<std::int32_t>& tokens_per_rank, int topk,
                                     std::span<const std::int64_t> counts, std::uint64_t seed);

}  // namespace epskew
