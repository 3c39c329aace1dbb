#include "backends/mpi/node_rows.hpp"

#include <algorithm>

namespace epskew::mpi {

NodeRows::NodeRows(const ExchangeShape& shape, const Topology& topology, int rank)
    : num_ranks_(shape.num_ranks),
      num_members_(topology.node_size(topology.node_of_rank[static_cast<std::size_t>(rank)])),
      member_(topology.member_of_rank[static_cast<std::size_t>(rank)]),
      experts_per_rank_(shape.experts_per_rank()),
      node_expert_(static_cast<std::size_t>(shape.num_experts), -1),
      expert_begin_(static_cast<std::size_t>(experts_per_rank_) + 1),
      source_range_(static_cast<std::size_t>(experts_per_rank_) * static_cast<std::size_t>(num_ranks_)) {
  const int node = topology.node_of_rank[static_cast<std::size_t>(rank)];
  for (int expert = 0; expert < shape.num_experts; ++expert) {
    const auto owner = static_cast<std::size_t>(expert / experts_per_rank_);
    if (topology.node_of_rank[owner] != node) continue;
    node_expert_[static_cast<std::size_t>(expert)] =
        topology.member_of_rank[owner] * experts_per_rank_ + expert % experts_per_rank_;
  }
  next_row_.resize(static_cast<std::size_t>(num_experts()) * static_cast<std::size_t>(num_ranks_));
}

void NodeRows::begin() {
  std::fill(next_row_.begin(), next_row_.end(), 0);
}

void NodeRows::add_source(int source, std::span<const std::int32_t> counts) {
  for (int expert = 0; expert < num_experts(); ++expert) {
    next_row_[cell(expert, source)] = counts[static_cast<std::size_t>(expert)];
  }
}

void NodeRows::finish() {
  most_rows_ = 0;
  for (int member = 0; member < num_members_; ++member) {
    std::int32_t row = 0;
    for (int local = 0; local < experts_per_rank_; ++local) {
      if (member == member_) expert_begin_[static_cast<std::size_t>(local)] = row;
      for (int source = 0; source < num_ranks_; ++source) {
        std::int32_t& cell_row = next_row_[cell(member * experts_per_rank_ + local, source)];
        const std::int32_t count = cell_row;
        cell_row = row;
        if (member == member_) source_range_[cell(local, source)] = {row, count};
        row += count;
      }
    }
    if (member == member_) expert_begin_.back() = row;
    most_rows_ = std::max(most_rows_, row);
  }
}

}  // namespace epskew::mpi
