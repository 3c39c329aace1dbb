#include "oracle_data.hpp"

#include <algorithm>
#include <cmath>

#include "epskew/support/random.hpp"

namespace epskew {
namespace {

enum Stream : std::uint64_t {
  exact_values = 1ull << 32,
  exact_groups = 2ull << 32,
  random_values = 3ull << 32
};

/// bf16 of ±(8 + mantissa)/8 · 2^exponent.
BFloat16 small_value(bool negative, int mantissa, int exponent) {
  const int bits = (negative ? 0x8000 : 0) | (127 + exponent) << 7 | mantissa << 4;
  return {static_cast<std::uint16_t>(bits)};
}

/// One group from 128 random bytes and one random word.
void make_exact_group(std::span<BFloat16> group, const RandomStream& values, std::uint64_t first_block,
                      std::uint32_t choice) {
  const int scale = static_cast<int>(choice % 13) - 6;
  for (std::size_t i = 0; i < group.size(); i += 16) {
    const auto block = values.block(first_block + i / 16);
    for (std::size_t j = 0; j < 16; ++j) {
      const std::uint32_t byte = block[j / 4] >> (j % 4 * 8) & 0xffu;
      group[i + j] = small_value((byte & 0x80u) != 0, static_cast<int>(byte & 7u),
                                 scale + static_cast<int>(byte >> 3 & 7u));
    }
  }
  group[choice >> 8 & 127u] = small_value((choice & 0x8000u) != 0, 6, scale + 8);  // ±448 · 2^scale
}

void make_exact_token(std::uint64_t seed, int rank, int token, std::span<BFloat16> x) {
  const RandomStream values(seed, exact_values | static_cast<std::uint64_t>(rank));
  const RandomStream groups(seed, exact_groups | static_cast<std::uint64_t>(rank));
  const std::size_t num_groups = x.size() / scale_group;
  constexpr std::size_t blocks_per_group = scale_group / 16;
  for (std::size_t group = 0; group < num_groups; ++group) {
    const std::uint64_t index = static_cast<std::uint64_t>(token) * num_groups + group;
    make_exact_group(x.subspan(group * scale_group, scale_group), values, index * blocks_per_group,
                     groups.block(index)[0]);
  }
}

void make_random_token(std::uint64_t seed, int rank, int token, std::span<BFloat16> x) {
  const RandomStream values(seed, random_values | static_cast<std::uint64_t>(rank));
  const std::uint64_t first_block = static_cast<std::uint64_t>(token) * (x.size() / 4);
  // The sum of four uniform bytes: mean 510, variance (256^2 - 1) / 3.
  const float scale = 0.1f / std::sqrt((256.0f * 256.0f - 1.0f) / 3.0f);
  for (std::size_t i = 0; i < x.size(); i += 4) {
    const auto block = values.block(first_block + i / 4);
    for (std::size_t j = 0; j < 4; ++j) {
      const std::uint32_t word = block[j];
      const auto sum =
          static_cast<int>((word & 0xffu) + (word >> 8 & 0xffu) + (word >> 16 & 0xffu) + (word >> 24));
      x[i + j] = to_bfloat16(static_cast<float>(sum - 510) * scale);
    }
  }
}

}  // namespace

void make_token(OracleData data, std::uint64_t seed, int rank, int token, std::span<BFloat16> x) {
  if (data == OracleData::exact) {
    make_exact_token(seed, rank, token, x);
  } else {
    make_random_token(seed, rank, token, x);
  }
}

float factor_of_expert(int expert) {
  return std::ldexp(expert / 61 % 2 == 0 ? 1.0f : -1.0f, expert * 37 % 61 - 30);
}

void shape_weights(OracleData data, int token, std::span<const std::int32_t> experts,
                   std::span<float> weights) {
  if (data == OracleData::exact) {
    std::fill(weights.begin(), weights.end(), 1.0f);
    return;
  }
  if (token % 4 != 3) return;
  double others = 0;
  std::size_t last = weights.size();
  for (std::size_t k = 0; k < weights.size(); ++k) {
    if (experts[k] < 0) continue;
    if (last < weights.size()) others += weights[last];
    last = k;
  }
  if (others != 0) weights[last] = static_cast<float>(-others * (1 - 0x1p-14));
}

}  // namespace epskew
