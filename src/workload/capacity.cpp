#include "workload/capacity.hpp"

#include <algorithm>
#include <functional>

namespace epskew {

Capacity::Capacity(std::span<const std::uint8_t> degrees, int topk)
    : of_(static_cast<std::size_t>(topk) + 1, 0) {
  std::vector<std::int64_t> tokens_with(static_cast<std::size_t>(topk) + 1, 0);
  for (const std::uint8_t degree : degrees) ++tokens_with[degree];
  std::int64_t tokens_of_at_least = 0;
  for (std::size_t j = of_.size() - 1; j > 0; --j) {
    tokens_of_at_least += tokens_with[j];
    of_[j] = tokens_of_at_least;
  }
  for (std::size_t j = 1; j < of_.size(); ++j) of_[j] += of_[j - 1];
}

std::int64_t Capacity::of_experts(std::int64_t experts) const {
  return of_[static_cast<std::size_t>(std::min(experts, static_cast<std::int64_t>(of_.size()) - 1))];
}

bool Capacity::can_deal(std::span<const std::int64_t> expert_counts) const {
  std::vector<std::int64_t> sorted(expert_counts.begin(), expert_counts.end());
  // Beyond topk experts the bound is all selections, which no partial sum exceeds.
  const auto checked = std::min(sorted.size(), of_.size());
  std::partial_sort(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(checked), sorted.end(),
                    std::greater<>());
  std::int64_t sum = 0;
  for (std::size_t j = 0; j < checked; ++j) {
    sum += sorted[j];
    if (sum > of_experts(static_cast<std::int64_t>(j) + 1)) return false;
  }
  return true;
}

}  // namespace epskew
