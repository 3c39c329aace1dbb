#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace epskew {

/// Rows [begin, end) of the plan that select `expert`.
struct PlannedRun {
  std::int32_t expert;
  std::uint32_t begin;
  std::uint32_t end;
};

/// One expert and how many tokens of a block it goes to.
struct Hand {
  std::int32_t expert;
  std::uint32_t tokens;
};

/// A routing of rows in order of degree, highest first, kept as runs: every expert goes to the rows of the
/// largest remaining degree, of equal ones to the last (Havel and Hakimi), so it takes O(experts + topk) runs
/// whatever the number of tokens.
class DealPlan {
 public:
  /// rows_with[d] = number of rows of degree d, d = 0..topk. `hands` in the order they are to be dealt.
  DealPlan(const std::vector<std::uint32_t>& rows_with, std::span<const Hand> hands);

  /// The hands of the block of rows {block, block + num_blocks, …}, only the non-empty ones, in dealing
  /// order.
  void hands_of(std::uint32_t block, std::uint32_t num_blocks, std::vector<Hand>& hands) const;

 private:
  void give(Hand hand, std::vector<std::uint32_t>& end);

  std::vector<PlannedRun> runs_;
};

}  // namespace epskew
