#pragma once

#include <cstdint>

namespace epskew {

/// The independent random streams of one seed, one a purpose: a draw more for one never shifts another.
enum class Stream : std::uint64_t {
  rank_order = 1,
  expert_order,
  mask,
  deal,
  token_order,
  trade,
  row_order,
  weights,
  uniform_experts,
  floor,
  popularity,
  gumbel,
  groups,
  matrix,
};

}  // namespace epskew
