#pragma once

/// The arithmetic that a user of MPI_Alltoallv writes around it: plain loops, left to the compiler to vectorise.

#include <cstdint>
#include <span>

#include "epskew/support/bfloat16.hpp"

namespace epskew::peer {

/// One token to e4m3 with one scale (amax / 448) per 128 channels. `codes` [H], `scales` [H/128].
void cast_to_e4m3(std::span<const BFloat16> x, std::span<std::uint8_t> codes, std::span<float> scales);

/// sum[i] += weight · row[i].
void accumulate(std::span<const BFloat16> row, float weight, std::span<float> sum);

/// Rounds `sum` to bf16.
void round_to_bf16(std::span<const float> sum, std::span<BFloat16> out);

}  // namespace epskew::peer
