#include "epskew/exchange/number_formats.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

namespace epskew {
namespace {

constexpr std::uint32_t exponent_mask = 0x7f800000u;
constexpr std::uint32_t min_normal_exponent = 121u << 23;  // 2^-6, the smallest normal e4m3 value
constexpr float e4m3_max = 448.0f;
constexpr std::uint8_t e4m3_max_code = 0x7e;
constexpr std::uint8_t e4m3_nan = 0x7f;

std::array<float, 256> make_e4m3_table() {
  std::array<float, 256> table{};
  for (int code = 0; code < 256; ++code) {
    const int exponent = code >> 3 & 15;
    const int mantissa = code & 7;
    float value = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                                : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
    if ((code & 0x7f) == e4m3_nan) value = std::bit_cast<float>(0x7fc00000u);
    table[static_cast<std::size_t>(code)] = (code & 0x80) != 0 ? -value : value;
  }
  return table;
}

}  // namespace

std::uint8_t to_e4m3(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint8_t>(bits >> 24 & 0x80u);
  const float magnitude = std::fabs(value);
  if (std::isnan(value)) return static_cast<std::uint8_t>(sign | e4m3_nan);
  if (magnitude >= e4m3_max) return static_cast<std::uint8_t>(sign | e4m3_max_code);
  // Adding 2^20 times the value's binade leaves a sum whose last place is the e4m3 step of that binade, so
  // the addition itself rounds to nearest even. Below 2^-6 the step stays that of 2^-6: subnormals.
  const std::uint32_t binade = std::max(bits & exponent_mask, min_normal_exponent);
  const auto magic = std::bit_cast<float>(binade + (20u << 23));
  const float sum = magnitude + magic;
  const std::uint32_t steps = std::bit_cast<std::uint32_t>(sum) - std::bit_cast<std::uint32_t>(magic);
  return static_cast<std::uint8_t>(sign | (steps + ((binade - min_normal_exponent) >> 20)));
}

float from_e4m3(std::uint8_t code) {
  static const std::array<float, 256> table = make_e4m3_table();
  return table[code];
}

std::uint8_t to_ue8m0(float scale) {
  return static_cast<std::uint8_t>(std::bit_cast<std::uint32_t>(scale) >> 23 & 0xffu);
}

float from_ue8m0(std::uint8_t byte) {
  return std::bit_cast<float>(std::uint32_t{byte} << 23);
}

float group_amax(std::span<const BFloat16> group) {
  std::uint16_t largest = 0;  // magnitudes of bf16 are ordered as their bits are, NaN above all
  for (const BFloat16 value : group)
    largest = std::max(largest, static_cast<std::uint16_t>(value.bits & 0x7fffu));
  const float amax = to_float(BFloat16{largest});
  return amax < 1e-4f ? 1e-4f : amax;
}

Fp8Scale fp8_scale(float amax, bool power_of_two) {
  const float scale = amax * (1.0f / e4m3_max);
  if (!power_of_two || !std::isfinite(amax)) return {scale, e4m3_max / amax};
  const auto bits = std::bit_cast<std::uint32_t>(scale);
  const std::uint32_t exponent = (bits >> 23) + ((bits & 0x7fffffu) != 0 ? 1u : 0u);
  return {std::bit_cast<float>(exponent << 23), std::bit_cast<float>((254u - exponent) << 23)};
}

void quantise_fp8(std::span<const BFloat16> x, bool power_of_two, std::span<std::uint8_t> codes,
                  std::span<float> scales) {
  for (std::size_t group = 0; group * scale_group < x.size(); ++group) {
    const auto values = x.subspan(group * scale_group, scale_group);
    const Fp8Scale scale = fp8_scale(group_amax(values), power_of_two);
    scales[group] = scale.scale;
    for (std::size_t i = 0; i < values.size(); ++i) {
      codes[group * scale_group + i] = to_e4m3(to_float(values[i]) * scale.multiplier);
    }
  }
}

float scale_of(const DispatchOutput& output, std::int64_t row, int group, int hidden) {
  const auto index = static_cast<std::size_t>(output.storage(row) * (hidden / scale_group) + group);
  if (output.format == DispatchFormat::bf16) return 1.0f;
  return output.format == DispatchFormat::fp8_ue8m0 ? from_ue8m0(output.scale_bytes[index])
                                                    : output.scales[index];
}

void dequantise_row(const DispatchOutput& output, std::int64_t row, std::span<BFloat16> out) {
  const int hidden = static_cast<int>(out.size());
  const std::size_t bytes = row_bytes(output.format, hidden);
  const std::byte* payload = output.rows.data() + static_cast<std::size_t>(output.storage(row)) * bytes;
  if (output.format == DispatchFormat::bf16) {
    std::memcpy(out.data(), payload, bytes);
    return;
  }
  for (int group = 0; group < hidden / scale_group; ++group) {
    const float scale = scale_of(output, row, group, hidden);
    for (int column = group * scale_group; column < (group + 1) * scale_group; ++column) {
      out[static_cast<std::size_t>(column)] =
          to_bfloat16(from_e4m3(static_cast<std::uint8_t>(payload[column])) * scale);
    }
  }
}

}  // namespace epskew
