#pragma once

/// bfloat16 as bits: the dtype of activations on both sides of the exchange.

#include <bit>
#include <cstdint>

namespace epskew {

/// One bfloat16 value: the upper 16 bits of an IEEE binary32.
struct BFloat16 {
  std::uint16_t bits = 0;

  friend bool operator==(BFloat16, BFloat16) = default;
};

/// Exact.
inline float to_float(BFloat16 value) { return std::bit_cast<float>(std::uint32_t{value.bits} << 16); }

/// Rounds to nearest, ties to even. NaN stays NaN (quiet), overflow becomes infinity.
inline BFloat16 to_bfloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<std::uint16_t>(bits >> 16 | 0x40u)};
  return {static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)};
}

}  // namespace epskew
