#include "epskew/exchange/logfmt.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

namespace epskew {
namespace {

constexpr std::uint16_t smallest_normal = 0x0080;
constexpr int max_code = 511;

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

int code_of(BFloat16 value, const LogfmtGroup& group) {
  const BFloat16 magnitude{static_cast<std::uint16_t>(value.bits & 0x7fffu)};
  if (magnitude.bits < smallest_normal) return 0;
  const float position = (log2_of(magnitude) - group.lmin) * group.inverse_step + group.rounding;
  return std::min(static_cast<int>(std::max(position, 0.0f)), max_code);
}

void encode_group(std::span<const BFloat16> x, const LogfmtGroup& group, std::byte* out) {
  std::fill_n(out + scale_group, logfmt10_group_bytes - scale_group, std::byte{0});
  std::byte* const ninth = out + scale_group;
  std::byte* const signs = ninth + scale_group / 8;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const int code = code_of(x[i], group);
    out[i] = static_cast<std::byte>(code & 0xff);
    ninth[i / 8] |= static_cast<std::byte>(code >> 8 << i % 8);
    signs[i / 8] |= static_cast<std::byte>(x[i].bits >> 15 << i % 8);
  }
}

void decode_group(const std::byte* coded, const LogfmtGroup& group, std::span<BFloat16> x) {
  const std::byte* const ninth = coded + scale_group;
  const std::byte* const signs = ninth + scale_group / 8;
  const auto bit = [](const std::byte* bits, std::size_t i) {
    return static_cast<int>(bits[i / 8] >> i % 8 & std::byte{1});
  };
  for (std::size_t i = 0; i < x.size(); ++i) {
    const int code = static_cast<int>(coded[i]) | bit(ninth, i) << 8;
    BFloat16 value{0};
    if (code > 0)
      value = to_bfloat16(exp2_polynomial(static_cast<float>(code - 1) * group.step + group.lmin));
    value.bits = static_cast<std::uint16_t>(value.bits | bit(signs, i) << 15);
    x[i] = value;
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
  const float whole = std::nearbyint(y);
  const float f = y - whole;
  float sum = exp2_coefficients[4];
  for (int i = 3; i >= 0; --i) sum = sum * f + exp2_coefficients[i];
  return std::bit_cast<float>(std::bit_cast<std::int32_t>(sum) + (static_cast<std::int32_t>(whole) << 23));
}

LogfmtGroup logfmt10_group(BFloat16 smallest, BFloat16 largest) {
  LogfmtGroup group;
  group.coded = largest.bits < to_bfloat16(1.0f).bits && smallest.bits < largest.bits;
  if (!group.coded) return group;
  const float lmax = log2_of(largest);
  group.lmin = std::max(log2_of(smallest), lmax - 32.0f);
  group.step = (lmax - group.lmin) / 510.0f;
  group.inverse_step = 1.0f / group.step;
  const double step = group.step;
  group.rounding = static_cast<float>(2.0 - std::log2((1.0 + std::exp2(step)) / 2.0) / step);
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
