#include "backends/mpi/selection_order.hpp"

#include <numeric>

namespace epskew::mpi {

SelectionOrder order_selections(std::span<const std::int32_t> topk_idx, int num_groups,
                                int experts_per_group) {
  SelectionOrder order;
  order.begin.assign(static_cast<std::size_t>(num_groups) + 1, 0);
  for (const std::int32_t expert : topk_idx) {
    if (expert >= 0) ++order.begin[static_cast<std::size_t>(expert / experts_per_group) + 1];
  }
  std::partial_sum(order.begin.begin(), order.begin.end(), order.begin.begin());
  std::vector<std::int32_t> next(order.begin.begin(), order.begin.end() - 1);
  order.position.reserve(topk_idx.size());
  for (const std::int32_t expert : topk_idx) {
    order.position.push_back(expert < 0 ? -1 : next[static_cast<std::size_t>(expert / experts_per_group)]++);
  }
  return order;
}

}  // namespace epskew::mpi
