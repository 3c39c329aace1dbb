#pragma once

#include <cstdint>
#include <span>

#include "workload/capacity.hpp"

namespace epskew {

/// Where routing rows are built.
struct Rows {
  std::span<std::int32_t> experts;        ///< [tokens][topk]; token t uses its first degrees[t] entries
  std::span<const std::uint8_t> degrees;  ///< [tokens]
  int topk = 0;
};

/// Fills `rows` with exactly expert_counts[e] selections of every expert e, each at most once a token, like a
/// uniform draw among all such routings. Precondition: Capacity(degrees).can_deal(expert_counts) and equal
/// totals.
///
/// Three steps. (1) Experts in random order are each dealt to the tokens with the largest remaining degree,
/// ties at random: Havel and Hakimi's construction, which never gets stuck. It leaves tokens exchangeable,
/// but experts dealt in the same sweep over the tokens never meet. (2) Every block of tokens is dealt again
/// in its own random order. (3) Curveball trades (Strona et al., Nature Communications 5, 2014): two tokens
/// pool the experts they do not share and deal them out again; in round p token t trades with t + 2^p. Each
/// step keeps degrees and counts exactly.
void deal(const Rows& rows, std::span<const std::int64_t> expert_counts, std::uint64_t seed);

}  // namespace epskew
