#include "backends/mpi/selection_order.hpp"

#include <algorithm>
#include <numeric>

namespace epskew::mpi {

std::vector<const std::byte*> SelectionOrder::pick(std::span<const std::byte* const> all) const {
  std::vector<const std::byte*> picked;
  picked.reserve(position.size());
  for (const std::int32_t place : position) {
    picked.push_back(place < 0 ? nullptr : all[static_cast<std::size_t>(place)]);
  }
  return picked;
}

ExpertGroups group_experts(int num_experts, std::span<const int> group_of_rank) {
  const int per_rank = num_experts / static_cast<int>(group_of_rank.size());
  ExpertGroups groups;
  for (int expert = 0; expert < num_experts; ++expert) {
    groups.group_of_expert.push_back(group_of_rank[static_cast<std::size_t>(expert / per_rank)]);
  }
  groups.num_groups = *std::max_element(group_of_rank.begin(), group_of_rank.end()) + 1;
  return groups;
}

ExpertGroups every_expert_alone(int num_experts) {
  ExpertGroups groups;
  groups.group_of_expert.resize(static_cast<std::size_t>(num_experts));
  std::iota(groups.group_of_expert.begin(), groups.group_of_expert.end(), 0);
  groups.num_groups = num_experts;
  return groups;
}

SelectionOrder order_selections(std::span<const std::int32_t> topk_idx, const ExpertGroups& groups) {
  SelectionOrder order;
  const auto group_of = [&](std::int32_t expert) {
    return static_cast<std::size_t>(groups.group_of_expert[static_cast<std::size_t>(expert)]);
  };
  order.begin.assign(static_cast<std::size_t>(groups.num_groups) + 1, 0);
  for (const std::int32_t expert : topk_idx) {
    if (expert >= 0) ++order.begin[group_of(expert) + 1];
  }
  std::partial_sum(order.begin.begin(), order.begin.end(), order.begin.begin());
  std::vector<std::int32_t> next(order.begin.begin(), order.begin.end() - 1);
  order.position.reserve(topk_idx.size());
  for (const std::int32_t expert : topk_idx) {
    order.position.push_back(expert < 0 ? -1 : next[group_of(expert)]++);
  }
  return order;
}

}  // namespace epskew::mpi
