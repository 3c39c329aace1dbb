#pragma once

/// The selections of a rank grouped by destination: the order in which its messages are packed and results
/// return.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace epskew::mpi {

struct SelectionOrder {
  std::vector<std::int32_t> begin;     ///< [groups+1]; group g owns the positions [begin[g], begin[g+1])
  std::vector<std::int32_t> position;  ///< [T·K]; -1 where nothing is selected
  std::int32_t size() const { return begin.back(); }
  std::int32_t count(int group) const {
    const auto g = static_cast<std::size_t>(group);
    return begin[g + 1] - begin[g];
  }
  /// [T·K] of `all`, which is by position, in the order of `topk_idx`; null where nothing is selected.
  std::vector<const std::byte*> pick(std::span<const std::byte* const> all) const;
};

/// Which group each expert belongs to, [E], and how many groups there are.
struct ExpertGroups {
  std::vector<int> group_of_expert;
  int num_groups = 0;
};
/// Experts of the same rank, or of ranks in the same `group_of_rank` [R], belong together.
ExpertGroups group_experts(int num_experts, std::span<const int> group_of_rank);
ExpertGroups every_expert_alone(int num_experts);

/// Inside a group selections keep the order of `topk_idx`.
SelectionOrder order_selections(std::span<const std::int32_t> topk_idx, const ExpertGroups& groups);

}  // namespace epskew::mpi
