#include "epskew/exchange/logfmt.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

namespace epskew {
namespace {

constexpr std::uint16_t smallest_normal = 0x0080;
constexpr float max_code = 511;
/// Adding and subtracting it rounds to the nearest integer, ties to even, for magnitudes below 2^22.
constexpr float integer_grid = 0x1.8p23f;

std::array<float, 128> make_log2_mantissas() {
  std::array<float, 128> table{};
  for (int i = 0; i < 128; ++i)
    table[static_cast<std::size_t>(i)] = static_cast<float>(std::log2(1.0 + i / 128.0));
  return table;
}

struct Extremes {
  BFloat16 smallest{0x7fff};  ///< of the magnitudes that are not zero
  BFloat16 largest{0};
};

bool is_coded(BFloat16 smallest, BFloat16 largest) {
  return largest.bits < to_bfloat16(1.0f).bits && smallest.bits < largest.bits;
}

Extremes find_extremes(std::span<const BFloat16> group) {
  Extremes extremes;
  for (const BFloat16 value : group) {
    const auto magnitude = static_cast<std::uint16_t>(value.bits & 0x7fffu);
    if (magnitude < smallest_normal) continue;
    extremes.smallest.bits = std::min(extremes.smallest.bits, magnitude);
    extremes.largest.bits = std::max(extremes.largest.bits, magnitude);
  }
  return extremes;
}

float exp2_by_polynomial(float y) {
  const float whole = (y + integer_grid) - integer_grid;
  const float f = y - whole;
  float sum = exp2_coefficients[4];
  for (int i = 3; i >= 0; --i) sum = sum * f + exp2_coefficients[i];
  return std::bit_cast<float>(std::bit_cast<std::int32_t>(sum) + (static_cast<std::int32_t>(whole) << 23));
}

/// Codes of one group; written so that compilers vectorise it.
void make_codes(std::span<const BFloat16> x, const LogfmtGroup& group,
                std::array<std::int32_t, scale_group>& codes) {
  const float* const mantissas = log2_mantissas().data();
  for (std::size_t i = 0; i < scale_group; ++i) {
    const int magnitude = x[i].bits & 0x7fff;
    const float log2 = static_cast<float>((magnitude >> 7) - 127) + mantissas[magnitude & 0x7f];
    const float position = (log2 - group.lmin) * group.inverse_step + group.rounding;
    const float bounded = std::min(std::max(position, 0.0f), max_code);
    codes[i] = magnitude < smallest_normal ? 0 : static_cast<std::int32_t>(bounded);
  }
}

void encode_group(std::span<const BFloat16> x, const LogfmtGroup& group, std::byte* out) {
  std::array<std::int32_t, scale_group> codes;
  make_codes(x, group, codes);
  for (std::size_t i = 0; i < scale_group; ++i) out[i] = static_cast<std::byte>(codes[i]);
  std::byte* const ninth = out + scale_group;
  std::byte* const signs = ninth + scale_group / 8;
  for (std::size_t byte = 0; byte < scale_group / 8; ++byte) {
    int code_bits = 0;
    int sign_bits = 0;
    for (std::size_t bit = 0; bit < 8; ++bit) {
      code_bits |= codes[8 * byte + bit] >> 8 << bit;
      sign_bits |= x[8 * byte + bit].bits >> 15 << bit;
    }
    ninth[byte] = static_cast<std::byte>(code_bits);
    signs[byte] = static_cast<std::byte>(sign_bits);
  }
}

void decode_group(const std::byte* coded, const LogfmtGroup& group, std::span<BFloat16> x) {
  const std::byte* const ninth = coded + scale_group;
  const std::byte* const signs = ninth + scale_group / 8;
  std::array<std::int32_t, scale_group> codes;
  std::array<std::uint32_t, scale_group> sign;
  for (std::size_t i = 0; i < scale_group; ++i) {
    codes[i] = static_cast<int>(coded[i]) | (static_cast<int>(ninth[i / 8]) >> i % 8 & 1) << 8;
    sign[i] = static_cast<std::uint32_t>(signs[i / 8]) >> i % 8 << 15 & 0x8000u;
  }
  for (std::size_t i = 0; i < scale_group; ++i) {
    const float value = exp2_by_polynomial(static_cast<float>(codes[i] - 1) * group.step + group.lmin);
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t rounded =
        (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;  // to_bfloat16 of a finite value
    x[i].bits = static_cast<std::uint16_t>((codes[i] > 0 ? rounded : 0u) | sign[i]);
  }
}

}  // namespace

std::size_t logfmt10_row_bytes(int hidden) {
  const auto columns = static_cast<std::size_t>(hidden);
  return columns / scale_group * 2 * sizeof(BFloat16) + columns * sizeof(BFloat16);
}

std::span<const float> log2_mantissas() {
  static const std::array<float, 128> table = make_log2_mantissas();
  return table;
}

float log2_of(BFloat16 magnitude) {
  return static_cast<float>(static_cast<int>(magnitude.bits >> 7) - 127) +
         log2_mantissas()[magnitude.bits & 0x7fu];
}

float exp2_polynomial(float y) {
  return exp2_by_polynomial(y);
}

LogfmtGroup logfmt10_group(BFloat16 smallest, BFloat16 largest) {
  LogfmtGroup group;
  group.coded = is_coded(smallest, largest);
  if (!group.coded) return group;
  const float lmax = log2_of(largest);
  group.lmin = std::max(log2_of(smallest), lmax - 32.0f);
  group.step = (lmax - group.lmin) / 510.0f;
  group.inverse_step = 1.0f / group.step;
  group.rounding = 1.5f - group.step * 0.0866433976f;  // ln 2 / 8
  return group;
}

std::size_t encode_logfmt10(std::span<const BFloat16> x, std::byte* out) {
  std::byte* next = out + x.size() / scale_group * 2 * sizeof(BFloat16);
  for (std::size_t i = 0; i < x.size(); i += scale_group) {
    const auto values = x.subspan(i, scale_group);
    const Extremes extremes = find_extremes(values);
    std::memcpy(out + i / scale_group * sizeof extremes, &extremes, sizeof extremes);
    const LogfmtGroup group = logfmt10_group(extremes.smallest, extremes.largest);
    if (group.coded) {
      encode_group(values, group, next);
      next += logfmt10_group_bytes;
    } else {
      std::memcpy(next, values.data(), values.size_bytes());
      next += values.size_bytes();
    }
  }
  return static_cast<std::size_t>(next - out);
}

std::size_t logfmt10_bytes_of(const std::byte* coded, int hidden) {
  const std::size_t groups = static_cast<std::size_t>(hidden) / scale_group;
  std::size_t bytes = groups * sizeof(Extremes);
  for (std::size_t group = 0; group < groups; ++group) {
    Extremes extremes;
    std::memcpy(&extremes, coded + group * sizeof extremes, sizeof extremes);
    bytes +=
        is_coded(extremes.smallest, extremes.largest) ? logfmt10_group_bytes : scale_group * sizeof(BFloat16);
  }
  return bytes;
}

void decode_logfmt10(const std::byte* coded, std::span<BFloat16> x) {
  const std::byte* next = coded + x.size() / scale_group * 2 * sizeof(BFloat16);
  for (std::size_t i = 0; i < x.size(); i += scale_group) {
    const auto values = x.subspan(i, scale_group);
    Extremes extremes;
    std::memcpy(&extremes, coded + i / scale_group * sizeof extremes, sizeof extremes);
    const LogfmtGroup group = logfmt10_group(extremes.smallest, extremes.largest);
    if (group.coded) {
      decode_group(next, group, values);
      next += logfmt10_group_bytes;
    } else {
      std::memcpy(values.data(), next, values.size_bytes());
      next += values.size_bytes();
    }
  }
}

}  // namespace epskew
