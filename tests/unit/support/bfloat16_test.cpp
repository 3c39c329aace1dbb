#include "epskew/support/bfloat16.hpp"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace epskew {
namespace {

TEST(BFloat16, EveryValueSurvivesTheRoundTrip) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const BFloat16 value{static_cast<std::uint16_t>(bits)};
    if (std::isnan(to_float(value))) {
      ASSERT_TRUE(std::isnan(to_float(to_bfloat16(to_float(value)))));
    } else {
      ASSERT_EQ(to_bfloat16(to_float(value)), value) << bits;
    }
  }
}

TEST(BFloat16, RoundsToNearestEven) {
  EXPECT_EQ(to_bfloat16(1.0f + 0x1p-8f).bits, 0x3f80);             // tie, down to even
  EXPECT_EQ(to_bfloat16(1.0f + 0x1p-7f + 0x1p-8f).bits, 0x3f82);   // tie, up to even
  EXPECT_EQ(to_bfloat16(1.0f + 0x1p-8f + 0x1p-20f).bits, 0x3f81);  // above the tie
}

TEST(BFloat16, OverflowsToInfinity) {
  EXPECT_TRUE(std::isinf(to_float(to_bfloat16(std::numeric_limits<float>::max()))));
}

}  // namespace
}  // namespace epskew
