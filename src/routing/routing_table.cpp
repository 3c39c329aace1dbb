#include "epskew/routing/routing_table.hpp"

#include <algorithm>
#include <numeric>

namespace epskew {

std::int64_t RoutingTable::num_tokens() const {
  return first_token(num_ranks());
}

int RoutingTable::max_tokens() const {
  return tokens_per_rank.empty() ? 0 : *std::max_element(tokens_per_rank.begin(), tokens_per_rank.end());
}

std::int64_t RoutingTable::first_token(int rank) const {
  return std::accumulate(tokens_per_rank.begin(), tokens_per_rank.begin() + rank, std::int64_t{0});
}

std::span<const std::int32_t> RoutingTable::experts_of_rank(int rank) const {
  const auto width = static_cast<std::size_t>(topk);
  return std::span(topk_idx).subspan(
      static_cast<std::size_t>(first_token(rank)) * width,
      static_cast<std::size_t>(tokens_per_rank[static_cast<std::size_t>(rank)]) * width);
}

std::span<const float> RoutingTable::weights_of_rank(int rank) const {
  const auto width = static_cast<std::size_t>(topk);
  return std::span(topk_weights)
      .subspan(static_cast<std::size_t>(first_token(rank)) * width,
               static_cast<std::size_t>(tokens_per_rank[static_cast<std::size_t>(rank)]) * width);
}

}  // namespace epskew
