#pragma once

#include "workload/deal.hpp"

namespace epskew {

/// Step 3 of deal: rounds of curveball trades. Small routings get enough rounds to be mixed by trades alone;
/// large ones, whose blocks were already dealt again, get fewer.
void trade(const Rows& rows, std::size_t num_experts, std::uint64_t seed);

}  // namespace epskew
