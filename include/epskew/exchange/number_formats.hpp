#pragma once

/// FP8 e4m3 with one scale per 128 channels, defined one value at a time.
///
/// This is the definition that every backend's fast code reproduces bit for bit. It follows DeepEP's
/// low-latency mode: amax = max(1e-4, max|x|) over the group; the stored scale is amax·(1/448) in binary32,
/// or the power of two at or above it; a value is stored as e4m3(x · multiplier) with multiplier = 448/amax,
/// or the inverse power of two.

#include <cstddef>
#include <cstdint>
#include <span>

#include "epskew/exchange/exchange.hpp"

namespace epskew {

/// OCP FP8 E4M3 (no infinities, 0x7f/0xff are NaN), rounded to nearest, ties to even, saturating at ±448.
std::uint8_t to_e4m3(float value);
/// Exact.
float from_e4m3(std::uint8_t code);

/// The exponent byte of a power-of-two scale: its binary32 exponent field.
std::uint8_t to_ue8m0(float scale);
float from_ue8m0(std::uint8_t byte);

/// How one group is scaled.
struct Fp8Scale {
  float scale;       ///< stored value × scale = original, approximately
  float multiplier;  ///< original × multiplier is what is rounded to e4m3
};
/// Largest magnitude of a group, at least 1e-4; NaN where the group holds one.
float group_amax(std::span<const BFloat16> group);
/// `power_of_two`: formats fp8_pow2 and fp8_ue8m0. A non-finite amax poisons the group: its scale is not
/// finite.
Fp8Scale fp8_scale(float amax, bool power_of_two);

/// Quantises a token: x [H] → codes [H], scales [H/128].
void quantise_fp8(std::span<const BFloat16> x, bool power_of_two, std::span<std::uint8_t> codes,
                  std::span<float> scales);

/// The scale of channel group `group` of `row`, whatever the format; 1 for bf16.
float scale_of(const DispatchOutput& output, std::int64_t row, int group, int hidden);
/// A received row back in bf16 [H]: e4m3 → f32, × scale, rounded once; a copy for bf16.
void dequantise_row(const DispatchOutput& output, std::int64_t row, std::span<BFloat16> out);

}  // namespace epskew
