#pragma once

/// The selections of a rank grouped by destination: the order in which its messages are packed and results
/// return.

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
};

/// Expert e belongs to group e / experts_per_group. Inside a group selections keep the order of `topk_idx`.
SelectionOrder order_selections(std::span<const std::int32_t> topk_idx, int num_groups,
                                int experts_per_group);

}  // namespace epskew::mpi
