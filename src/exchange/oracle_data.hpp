#pragma once

/// What the oracle puts into tokens and what its experts do: functions of (seed, rank, token, column) and of
/// the expert.

#include <cstdint>
#include <span>

#include "epskew/exchange/oracle.hpp"

namespace epskew {

/// The token's payload [H].
///
/// exact: per group of 128 columns a power of two 2^s, s in [-6, 6], times ±(8..15)/8·2^(0..7), and one
/// column ±448. So amax is 448·2^s: every scale rule arrives at exactly 2^s, every value is an e4m3 value
/// times that, and it has four significant bits, so that up to 16 of it still sum exactly in bf16. random:
/// close to normal with standard deviation 0.1, as in DeepEP's test.
void make_token(OracleData data, std::uint64_t seed, int rank, int token, std::span<BFloat16> x);

/// What expert e multiplies by: ±2^n, n in [-30, 30], different for any 122 neighbouring experts. Experts a
/// multiple of 122 apart do the same; a token's result that is taken from one for the other does not show in
/// the combined token. No step of a rank or of a segment is such a multiple unless L is a multiple of 61 and
/// the error one of whole ranks, and rows that arrive at the wrong expert show in check_dispatch whatever the
/// factors.
float factor_of_expert(int expert);

/// A token's weights before the experts' factors are taken out [K], in place. Exact data: 1. Random data:
/// those of the routing; but in every fourth token the last valid one is set against the sum of the others,
/// so that 1/16384 of it remains. There an error in a weight, a sum in another order or a sum rounded on the
/// way is 16384 times as large against the result, which would hide most of them in its own rounding.
void shape_weights(OracleData data, int token, std::span<const std::int32_t> experts,
                   std::span<float> weights);

}  // namespace epskew
