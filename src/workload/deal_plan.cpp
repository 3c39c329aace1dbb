#include "workload/deal_plan.hpp"

#include <algorithm>

#include "epskew/support/error.hpp"

namespace epskew {

DealPlan::DealPlan(const std::vector<std::uint32_t>& rows_with, std::span<const Hand> hands) {
  // end[d]: the rows before it have at least d selections left; rows stay in this order throughout.
  std::vector<std::uint32_t> end(rows_with.size() + 1, 0);
  for (std::size_t d = rows_with.size(); d-- > 0;) end[d] = end[d + 1] + rows_with[d];
  for (const Hand& hand : hands) give(hand, end);
}

void DealPlan::give(Hand hand, std::vector<std::uint32_t>& end) {
  std::uint32_t first = 0;
  for (std::size_t degree = end.size() - 2; hand.tokens > 0; --degree) {
    EPSKEW_ASSERT(degree > 0);
    const std::uint32_t last = end[degree];
    const std::uint32_t served = std::min(hand.tokens, last - first);
    if (served > 0) runs_.push_back({hand.expert, last - served, last});
    end[degree] = last - served;
    hand.tokens -= served;
    first = last;
  }
}

void DealPlan::hands_of(std::uint32_t block, std::uint32_t num_blocks, std::vector<Hand>& hands) const {
  hands.clear();
  // Rows of the block before `row`.
  const auto before = [&](std::uint32_t row) { return (row + num_blocks - 1 - block) / num_blocks; };
  for (const PlannedRun& run : runs_) {
    const std::uint32_t tokens = before(run.end) - before(run.begin);
    if (tokens == 0) continue;
    if (!hands.empty() && hands.back().expert == run.expert) {
      hands.back().tokens += tokens;
    } else {
      hands.push_back({run.expert, tokens});
    }
  }
}

}  // namespace epskew
