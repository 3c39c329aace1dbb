#include "epskew/exchange/logfmt.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "epskew/support/random.hpp"

namespace epskew {
namespace {

std::vector<BFloat16> round_trip(std::span<const BFloat16> x, std::size_t* used = nullptr) {
  std::vector<std::byte> coded(logfmt10_row_bytes(static_cast<int>(x.size())), std::byte{0xa5});
  const std::size_t bytes = encode_logfmt10(x, coded.data());
  EXPECT_EQ(logfmt10_bytes_of(coded.data(), static_cast<int>(x.size())), bytes);
  if (used != nullptr) *used = bytes;
  std::vector<BFloat16> back(x.size());
  decode_logfmt10(coded.data(), back);
  return back;
}

/// The definition in binary64, without tables or polynomials.
double decoded_by_the_book(double x, double smallest, double largest) {
  const double lmax = std::log2(largest);
  const double lmin = std::max(std::log2(smallest), lmax - 32);
  const double step = (lmax - lmin) / 510;
  const double rounding = 2 - std::log2((1 + std::exp2(step)) / 2) / step;
  const double code = std::floor(std::max((std::log2(std::fabs(x)) - lmin) / step + rounding, 0.0));
  return code == 0 ? 0 : std::copysign(std::exp2((code - 1) * step + lmin), x);
}

// All values below 1, in groups of very different and of similar magnitudes.
TEST(Logfmt, EveryValueBelowOneDecodesAsByTheBook) {
  std::vector<BFloat16> values;
  for (std::uint32_t bits = 0x0080; bits < 0x3f80; ++bits) {
    values.push_back({static_cast<std::uint16_t>(bits | (bits % 3 == 0 ? 0x8000u : 0u))});
  }
  values.resize(values.size() / scale_group * scale_group);
  RandomStream random(1, 1);
  for (int order = 0; order < 3; ++order) {
    for (std::size_t first = 0; first < values.size(); first += scale_group) {
      const std::span<const BFloat16> group = std::span(values).subspan(first, scale_group);
      double smallest = 1;
      double largest = 0;
      for (const BFloat16 value : group) {
        smallest = std::min(smallest, std::fabs(static_cast<double>(to_float(value))));
        largest = std::max(largest, std::fabs(static_cast<double>(to_float(value))));
      }

      const auto back = round_trip(group);

      const double step = (std::log2(largest) - std::max(std::log2(smallest), std::log2(largest) - 32)) / 510;
      for (std::size_t i = 0; i < group.size(); ++i) {
        const double expected = decoded_by_the_book(to_float(group[i]), smallest, largest);
        // binary32 may fall on the other side of a code boundary, and the result is rounded to bf16.
        const double room =
            std::fabs(expected) * (std::exp2(step) - 1 + 0x1p-8) + std::exp2(std::log2(largest) - 32);
        ASSERT_NEAR(to_float(back[i]), expected, room) << group[i].bits;
      }
    }
    shuffle(values, random);
  }
}

TEST(Logfmt, RelativeErrorIsHalfAStep) {
  RandomStream random(2, 1);
  std::vector<BFloat16> x;
  for (int i = 0; i < 12800; ++i)
    x.push_back(to_bfloat16(static_cast<float>(0.001 + 0.9 * random.uniform())));

  const auto back = round_trip(x);

  for (std::size_t i = 0; i < x.size(); ++i) {
    const double step = std::log2(0.901 / 0.001) / 510;
    EXPECT_NEAR(to_float(back[i]) / to_float(x[i]), 1.0, std::exp2(step / 2) - 1 + 0x1p-8);
  }
}

TEST(Logfmt, ExtremesZeroAndSignSurviveExactly) {
  std::vector<BFloat16> x(scale_group, to_bfloat16(0.25f));
  x[3] = to_bfloat16(0.75f);
  x[5] = to_bfloat16(-0.0078125f);
  x[9] = to_bfloat16(0.0f);

  const auto back = round_trip(x);

  EXPECT_EQ(back[3], x[3]);
  EXPECT_EQ(back[5], x[5]);
  EXPECT_EQ(back[9], x[9]);
}

TEST(Logfmt, GroupsThatReachOneOrHoldOneMagnitudeOnlyTravelAsBfloat16) {
  std::vector<BFloat16> x(3 * scale_group);
  for (std::size_t i = 0; i < scale_group; ++i)
    x[i] = to_bfloat16(0.01f * static_cast<float>(i));  // up to 1.27
  for (std::size_t i = scale_group; i < 2 * scale_group; ++i) x[i] = to_bfloat16(-0.3f);
  std::size_t used = 0;

  const auto back = round_trip(x, &used);

  EXPECT_EQ(back, x);
  EXPECT_EQ(used, 3u * 4 + 3 * 2 * scale_group);
}

TEST(Logfmt, CodedGroupsTakeTenBitsAValue) {
  std::vector<BFloat16> x;
  for (int i = 0; i < 1024; ++i) x.push_back(to_bfloat16(0.5f / static_cast<float>(1 + i % 100)));
  std::size_t used = 0;

  round_trip(x, &used);

  EXPECT_EQ(used, 8u * 4 + 1024 * 10 / 8);
}

TEST(Logfmt, ExponentialIsAccurateEnoughForBfloat16) {
  for (float y = -126.0f; y < 1.0f; y += 0.001f) {
    EXPECT_NEAR(exp2_polynomial(y) / std::exp2(static_cast<double>(y)), 1.0, 1e-4);
  }
}

}  // namespace
}  // namespace epskew
