#pragma once

/// Where every token for a node goes, computed by each of its ranks alone from the counts of all sources.
///
/// Rows at a receiver are ordered by local expert, then source rank, then token, so no two writers share a
/// row.

#include <cstdint>
#include <span>
#include <vector>

#include "backends/mpi/topology.hpp"
#include "epskew/exchange/exchange.hpp"

namespace epskew::mpi {

class NodeRows {
 public:
  NodeRows(const ExchangeShape& shape, const Topology& topology, int rank);

  int num_experts() const { return num_members_ * experts_per_rank_; }
  /// Place of a global expert among the experts of this node, by member, then expert; -1 for one of another
  /// node.
  int node_expert(std::int32_t expert) const { return node_expert_[static_cast<std::size_t>(expert)]; }
  int num_members() const { return num_members_; }
  int member_of(int node_expert) const { return node_expert / experts_per_rank_; }

  void begin();
  /// Adds the counts [num_experts()] of the next source; call once for every source, ascending.
  void add_source(int source, std::span<const std::int32_t> counts);
  /// Computes everything below.
  void finish();

  /// The row at its member of the next token from `source`; call once for each, in the source's order of
  /// tokens.
  std::int32_t next_row(int node_expert, int source) { return next_row_[cell(node_expert, source)]++; }
  /// The most rows that any rank of the node receives.
  std::int32_t most_rows() const { return most_rows_; }
  std::span<const std::int32_t> expert_begin() const { return expert_begin_; }  ///< [L+1], of this rank
  std::span<const RowRange> source_range() const { return source_range_; }      ///< [L][R], of this rank

 private:
  std::size_t cell(int node_expert, int source) const {
    return static_cast<std::size_t>(node_expert) * static_cast<std::size_t>(num_ranks_) +
           static_cast<std::size_t>(source);
  }

  int num_ranks_;
  int num_members_;
  int member_;
  int experts_per_rank_;
  std::vector<int> node_expert_;        ///< [E]
  std::vector<std::int32_t> next_row_;  ///< [num_experts()][R]; counts until finish()
  std::int32_t most_rows_ = 0;
  std::vector<std::int32_t> expert_begin_;
  std::vector<RowRange> source_range_;
};

}  // namespace epskew::mpi
