#include "user_kernels.hpp"

#include <algorithm>
#include <bit>

#include "epskew/exchange/shape.hpp"

namespace epskew::peer {
namespace {

/// e4m3, round to nearest even, saturating at 448; branch-free so that the loop around it vectorises.
inline std::uint8_t e4m3(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 24 & 0x80u;
  const float magnitude = std::min(std::bit_cast<float>(bits & 0x7fffffffu), 448.0f);
  const auto m = std::bit_cast<std::uint32_t>(magnitude);
  const std::uint32_t normal = (m + 0x7ffffu + (m >> 20 & 1u) - (120u << 23)) >> 20;
  // Below 2^-6 codes are multiples of 2^-9: adding 2^14 leaves that multiple in the low mantissa bits, rounded.
  const std::uint32_t subnormal = std::bit_cast<std::uint32_t>(magnitude + 0x1p14f) - std::bit_cast<std::uint32_t>(0x1p14f);
  return static_cast<std::uint8_t>(sign | (magnitude < 0x1p-6f ? subnormal : normal));
}

}  // namespace

void cast_to_e4m3(std::span<const BFloat16> x, std::span<std::uint8_t> codes, std::span<float> scales) {
  for (std::size_t group = 0; group < scales.size(); ++group) {
    const BFloat16* in = x.data() + group * scale_group;
    std::uint8_t* out = codes.data() + group * scale_group;
    std::uint32_t largest = 0;  // magnitudes order like their bits
    for (int i = 0; i < scale_group; ++i) largest = std::max<std::uint32_t>(largest, in[i].bits & 0x7fffu);
    const float amax = std::max(1e-4f, std::bit_cast<float>(largest << 16));
    scales[group] = amax * (1.0f / 448.0f);
    const float multiplier = 448.0f / amax;
    for (int i = 0; i < scale_group; ++i) out[i] = e4m3(to_float(in[i]) * multiplier);
  }
}

void accumulate(std::span<const BFloat16> row, float weight, std::span<float> sum) {
  for (std::size_t i = 0; i < row.size(); ++i) sum[i] += weight * to_float(row[i]);
}

void round_to_bf16(std::span<const float> sum, std::span<BFloat16> out) {
  for (std::size_t i = 0; i < sum.size(); ++i) {
    const auto bits = std::bit_cast<std::uint32_t>(sum[i]);
    out[i].bits = static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
  }
}

}  // namespace epskew::peer
