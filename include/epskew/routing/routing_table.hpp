#pragma once

/// Who sends which token to which experts: the input of every exchange and the output of every workload.

#include <cstdint>
#include <span>
#include <vector>

namespace epskew {

/// The routing of one layer and batch, for all ranks.
///
/// Experts are numbered by where they live: rank r owns the experts [r·L, (r+1)·L), L = num_experts /
/// num_ranks. A placement is applied by renumbering experts (see Placement), so that every exchange, other
/// people's included, can rely on this. Tokens are ordered by source rank, then by index within the rank.
struct RoutingTable {
  int num_experts = 0;
  int topk = 0;
  std::vector<std::int32_t> tokens_per_rank;  ///< [num_ranks], each >= 0
  std::vector<std::int32_t> topk_idx;         ///< [num_tokens][topk], row-major; -1 = masked, no selection
  std::vector<float> topk_weights;            ///< [num_tokens][topk], gate weights; finite, 0 where masked

  int num_ranks() const { return static_cast<int>(tokens_per_rank.size()); }
  int experts_per_rank() const { return num_experts / num_ranks(); }
  /// The rank on which `expert` lives.
  int rank_of(std::int32_t expert) const { return expert / experts_per_rank(); }
  /// N: the tokens of all ranks.
  std::int64_t num_tokens() const;
  /// M: the largest number of tokens of a rank; it sizes the buffers.
  int max_tokens() const;
  /// Index (over all ranks) of the first token of `rank`; num_tokens() for rank == num_ranks().
  std::int64_t first_token(int rank) const;

  /// [tokens_per_rank[rank]][topk]; a view into this table.
  std::span<const std::int32_t> experts_of_rank(int rank) const;
  std::span<const float> weights_of_rank(int rank) const;

  friend bool operator==(const RoutingTable&, const RoutingTable&) = default;
};

/// Throws UsageError unless the shape is consistent, ids are in [-1, num_experts), weights are finite and no
/// token selects an expert twice. `what` names the table in the message (a file, say); the first offender is
/// named.
void validate(const RoutingTable& table, const char* what);

}  // namespace epskew
