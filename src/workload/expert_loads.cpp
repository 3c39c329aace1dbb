#include "workload/expert_loads.hpp"

#include <algorithm>

#include "epskew/support/error.hpp"
#include "workload/apportion.hpp"

namespace epskew {

std::vector<std::int64_t> expert_loads_below(std::int64_t height, std::span<const std::int64_t> rank_loads,
                                             std::span<const double> weights) {
  const std::size_t experts_per_rank = weights.size() / rank_loads.size();
  const std::vector<double> equal(experts_per_rank, 1.0);
  std::vector<std::int64_t> loads;
  loads.reserve(weights.size());
  for (std::size_t rank = 0; rank < rank_loads.size(); ++rank) {
    const auto experts = static_cast<std::int64_t>(experts_per_rank);
    const std::int64_t lowest = (rank_loads[rank] + experts - 1) / experts;
    const bool flat = height <= lowest;
    const std::span<const double> own =
        flat ? std::span(equal) : weights.subspan(rank * experts_per_rank, experts_per_rank);
    const std::vector<std::int64_t> part = apportion(rank_loads[rank], own, std::max(height, lowest));
    loads.insert(loads.end(), part.begin(), part.end());
  }
  return loads;
}

std::vector<std::int64_t> expert_loads(const Capacity& capacity, std::span<const std::int64_t> rank_loads,
                                       std::span<const double> weights) {
  std::int64_t bad = capacity.of_experts(1) + 1;  // heights from here on are not tried
  std::int64_t good = 0;                          // an equal split
  std::int64_t height = bad - 1;                  // most often the first try is dealable
  std::vector<std::int64_t> best;
  while (bad - good > 1 || best.empty()) {
    std::vector<std::int64_t> loads = expert_loads_below(height, rank_loads, weights);
    if (capacity.can_deal(loads)) {
      good = height;
      best = std::move(loads);
    } else {
      EPSKEW_ASSERT(height > 0);
      bad = height;
    }
    height = good + (bad - good) / 2;
  }
  return best;
}

}  // namespace epskew
