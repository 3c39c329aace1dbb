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
/// Three steps. (1) A plan (deal_plan.hpp) deals the experts, in random order, over imagined rows by Havel
/// and Hakimi's construction, which never gets stuck; every nb-th row makes one of nb blocks, whose expert
/// counts are thereby even and whose rows are known to be dealable. (2) Each block gets random tokens and is
/// dealt by the same construction with its own random order of experts and random choices. (3) Curveball
/// trades (Strona et al., Nature Communications 5, 2014): two tokens pool the experts they do not share and
/// deal them out again; in round p token t trades with t + 2^p. Every step keeps degrees and counts exactly.
void deal(const Rows& rows, std::span<const std::int64_t> expert_counts, std::uint64_t seed);

}  // namespace epskew
