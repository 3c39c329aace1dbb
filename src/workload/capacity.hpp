#pragma once

/// What tokens can take: the Gale–Ryser side of every feasibility question.

#include <cstdint>
#include <span>
#include <vector>

namespace epskew {

/// Tokens with degrees k_t (their selections after masking). Expert counts e_1 >= e_2 >= … that sum to
/// selections() can be dealt to them, each expert at most once to a token, exactly if e_1 + … + e_j <=
/// of_experts(j) for every j (Gale 1957, Ryser 1957).
class Capacity {
 public:
  Capacity(std::span<const std::uint8_t> degrees, int topk);

  std::int64_t selections() const { return of_.back(); }
  /// sum over tokens of min(k_t, experts): the most selections that many experts can get.
  std::int64_t of_experts(std::int64_t experts) const;
  bool can_deal(std::span<const std::int64_t> expert_counts) const;

 private:
  std::vector<std::int64_t> of_;  ///< [topk + 1]
};

}  // namespace epskew
