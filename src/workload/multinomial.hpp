#pragma once

#include "workload/capacity.hpp"
#include "workload/deal.hpp"
#include "workload/law.hpp"

namespace epskew {

/// Fills `rows` as DeepEP pull request 393 draws: expert popularity from the family, placed at random, and
/// topk experts a token without replacement in proportion to it (Gumbel top-k, Kool et al., ICML 2019, here
/// as an exponential race). With expert groups a token first takes the topk_groups groups of its best
/// experts. With a factor the shape is bisected towards it in 20 steps, on at most 4096 of the tokens; the
/// realised factor keeps the draw's noise and may miss the target. Returns the law that was drawn from.
/// Throws UsageError for a factor no routing can have.
Law draw_multinomial(const Rows& rows, const WorkloadSpec& spec, const Capacity& capacity);

}  // namespace epskew
