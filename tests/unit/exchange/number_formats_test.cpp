#include "epskew/exchange/number_formats.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

namespace epskew {
namespace {

/// e4m3 by the book, in binary64 and without any bit trick: the nearest of all finite values, the even code
/// on a tie.
std::uint8_t nearest_e4m3(double value) {
  int best = 0;
  double best_distance = std::numeric_limits<double>::infinity();
  for (int code = 0; code < 0x7f; ++code) {
    const int exponent = code / 8;
    const double candidate =
        exponent == 0 ? (code % 8) * std::pow(2.0, -9) : (1 + (code % 8) / 8.0) * std::pow(2.0, exponent - 7);
    const double distance = std::fabs(std::fabs(value) - candidate);
    if (distance < best_distance || (distance == best_distance && code % 2 == 0)) {
      best = code;
      best_distance = distance;
    }
  }
  return static_cast<std::uint8_t>(best | (std::signbit(value) ? 0x80 : 0));
}

TEST(E4m3, EveryBfloat16InputUnderSeveralMultipliersIsTheNearestValue) {
  for (const float multiplier : {1.0f, 448.0f / 3.0f, 0x1p-7f, 0x1.fffffep3f}) {
    for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
      const float x = to_float(BFloat16{static_cast<std::uint16_t>(bits)});
      if (!std::isfinite(x)) continue;
      const float product = x * multiplier;
      if (!std::isfinite(product)) continue;

      ASSERT_EQ(to_e4m3(product), nearest_e4m3(product)) << bits << " times " << multiplier;
    }
  }
}

TEST(E4m3, EveryCodeSurvivesTheRoundTrip) {
  for (int code = 0; code < 256; ++code) {
    const float value = from_e4m3(static_cast<std::uint8_t>(code));
    if ((code & 0x7f) == 0x7f) {
      EXPECT_TRUE(std::isnan(value));
    } else {
      EXPECT_EQ(to_e4m3(value), code);
    }
  }
}

TEST(E4m3, SaturatesAndKeepsNan) {
  constexpr float inf = std::numeric_limits<float>::infinity();

  EXPECT_EQ(to_e4m3(1e30f), 0x7e);
  EXPECT_EQ(to_e4m3(-inf), 0xfe);
  EXPECT_EQ(to_e4m3(std::numeric_limits<float>::quiet_NaN()) & 0x7f, 0x7f);
}

TEST(Fp8Scale, ExactScaleIsAmaxOver448) {
  const Fp8Scale scale = fp8_scale(3.0f, false);

  EXPECT_EQ(scale.scale, 3.0f * (1.0f / 448.0f));
  EXPECT_EQ(scale.multiplier, 448.0f / 3.0f);
}

TEST(Fp8Scale, PowerOfTwoScaleIsTheSmallestThatHoldsAmax) {
  for (std::uint32_t bits = 0; bits < 0x7f80; ++bits) {
    const float amax = std::max(1e-4f, to_float(BFloat16{static_cast<std::uint16_t>(bits)}));

    const Fp8Scale scale = fp8_scale(amax, true);

    ASSERT_EQ(std::ldexp(1.0, std::ilogb(scale.scale)), scale.scale);
    ASSERT_GE(scale.scale * 448.0, static_cast<double>(amax)) << bits;
    ASSERT_LT(scale.scale * 224.0, static_cast<double>(amax)) << bits;
    ASSERT_EQ(scale.scale * scale.multiplier, 1.0f);
  }
}

TEST(Fp8Scale, AmaxHasAFloor) {
  const std::array<BFloat16, 128> zeros{};

  EXPECT_EQ(group_amax(zeros), 1e-4f);
}

TEST(Fp8Scale, AGroupWithNanOrInfinityIsPoisoned) {
  for (const BFloat16 special : {BFloat16{0x7f80}, BFloat16{0xff80}, BFloat16{0x7fc0}, BFloat16{0xff81}}) {
    std::vector<BFloat16> x(128, to_bfloat16(1.0f));
    x[77] = special;
    std::vector<std::uint8_t> codes(128);
    std::array<float, 1> scale{};

    quantise_fp8(x, true, codes, scale);

    EXPECT_FALSE(std::isfinite(scale[0])) << special.bits;
  }
}

TEST(Ue8m0, IsTheExponentByte) {
  for (int exponent = -126; exponent <= 127; ++exponent) {
    const float scale = std::ldexp(1.0f, exponent);

    EXPECT_EQ(to_ue8m0(scale), exponent + 127);
    EXPECT_EQ(from_ue8m0(to_ue8m0(scale)), scale);
  }
}

/// A dispatch output of one quantised token.
struct OneRow {
  explicit OneRow(std::span<const BFloat16> x, DispatchFormat format)
      : codes(x.size()), scales(x.size() / scale_group), bytes(scales.size()) {
    quantise_fp8(x, format != DispatchFormat::fp8, codes, scales);
    std::transform(scales.begin(), scales.end(), bytes.begin(), to_ue8m0);
    output.format = format;
    output.rows = std::as_bytes(std::span(codes));
    output.scales = scales;
    output.scale_bytes = bytes;
  }
  std::vector<std::uint8_t> codes;
  std::vector<float> scales;
  std::vector<std::uint8_t> bytes;
  DispatchOutput output;
};

class RoundTrip : public ::testing::TestWithParam<DispatchFormat> {};

TEST_P(RoundTrip, StaysWithinHalfAStep) {
  std::vector<BFloat16> x;
  for (int i = 0; i < 512; ++i)
    x.push_back(to_bfloat16(std::sin(static_cast<float>(i)) * std::ldexp(1.0f, i % 19 - 9)));
  const OneRow row(x, GetParam());
  std::vector<BFloat16> back(x.size());

  dequantise_row(row.output, 0, back);

  for (std::size_t i = 0; i < x.size(); ++i) {
    const float scale = row.scales[i / scale_group];
    EXPECT_NEAR(to_float(back[i]), to_float(x[i]), std::fabs(to_float(x[i])) * 0x1.1p-4f + scale * 0x1p-10f)
        << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, RoundTrip,
                         ::testing::Values(DispatchFormat::fp8, DispatchFormat::fp8_pow2,
                                           DispatchFormat::fp8_ue8m0),
                         [](const auto& test) { return std::string(name_of(test.param)); });

}  // namespace
}  // namespace epskew
