#pragma once

/// LogFMT-10: ten bits a value on a logarithmic scale, for results on their way back.
///
/// Follows DeepEP's combine format, with the decision made per group of 128 channels. A group is coded where
/// all its magnitudes are below 1 and not all the same; else it travels as bf16. With lmax = log2 of the
/// largest magnitude, lmin = max(log2 of the smallest that is not zero, lmax - 32) and step = (lmax - lmin) /
/// 510, a value is its sign and
///   code = floor(max((log2|x| - lmin) / step + rounding, 0)), rounding = 2 - log2((1 + 2^step) / 2) / step
/// (computed as 3/2 - step·ln2/8, the same to 1e-6 for every step that occurs),
/// 0 for x = 0, and is decoded as ±2^((code - 1)·step + lmin), rounded to bf16. Magnitudes below 2^-126 count
/// as zero.
///
/// A coded row: [H/128] pairs (smallest, largest magnitude) as bf16; then the groups, each 128 bytes of low
/// code bits, 16 bytes of ninth bits and 16 bytes of signs (channel i in byte i/8, bit i%8), or 256 bytes of
/// bf16.

#include <cstddef>
#include <cstdint>
#include <span>

#include "epskew/exchange/shape.hpp"
#include "epskew/support/bfloat16.hpp"

namespace epskew {

inline constexpr std::size_t logfmt10_group_bytes = scale_group * 10 / 8;

/// Room for a row whatever its values: 4 bytes a group and two a channel.
std::size_t logfmt10_row_bytes(int hidden);

/// What one group's magnitudes are coded with.
struct LogfmtGroup {
  bool coded = false;  ///< false: the group travels as bf16
  float lmin = 0;
  float step = 0;
  float inverse_step = 0;
  float rounding = 0;
};
LogfmtGroup logfmt10_group(BFloat16 smallest, BFloat16 largest);

/// log2 of a positive normal bf16 value.
float log2_of(BFloat16 magnitude);
/// log2(1 + i/128), i in [0, 128).
std::span<const float> log2_mantissas();

/// Encodes x [H] into `out`; returns the bytes used.
std::size_t encode_logfmt10(std::span<const BFloat16> x, std::byte* out);
/// Bytes of a coded row of `hidden` channels, from its pairs of magnitudes.
std::size_t logfmt10_bytes_of(const std::byte* coded, int hidden);
/// Decodes one row into `x` [H].
void decode_logfmt10(const std::byte* coded, std::span<BFloat16> x);

/// 2^y in binary32 by a fixed polynomial: the same bits on every machine. y in [-126, 1).
float exp2_polynomial(float y);
/// Its coefficients: 2^f = Σ c[i]·f^i for |f| <= 1/2, Horner from the highest.
inline constexpr float exp2_coefficients[] = {1.0f, 0.69314718f, 0.24022651f, 0.05550411f, 0.00961813f};

}  // namespace epskew
