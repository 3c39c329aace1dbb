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

/// Expert e multiplies by 2^expert_exponent(e), in [-30, 30], different for any 61 neighbouring experts.
int expert_exponent(int expert);

}  // namespace epskew
