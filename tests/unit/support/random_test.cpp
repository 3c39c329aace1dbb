#include "epskew/support/random.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

namespace epskew {
namespace {

// Known-answer vector of Random123 for philox4x32-10: counter and key all zero.
TEST(RandomStream, IsPhilox4x32WithTenRounds) {
  const RandomStream zero(0, 0);

  EXPECT_EQ(zero.block(0), (std::array<std::uint32_t, 4>{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u}));
}

TEST(RandomStream, StreamsOfOneSeedDiffer) {
  EXPECT_NE(RandomStream(7, 0).block(0), RandomStream(7, 1).block(0));
  EXPECT_NE(RandomStream(7, 0).block(0), RandomStream(8, 0).block(0));
}

TEST(RandomStream, BelowStaysInRangeAndReachesEveryValue) {
  RandomStream random(1, 2);
  std::array<int, 7> seen{};

  for (int i = 0; i < 7000; ++i) ++seen.at(random.below(7));

  for (const int count : seen) EXPECT_NEAR(count, 1000, 150);
}

TEST(RandomStream, UniformIsInsideTheOpenInterval) {
  RandomStream random(3, 4);

  for (int i = 0; i < 1000; ++i) {
    const double u = random.uniform();
    ASSERT_GT(u, 0.0);
    ASSERT_LT(u, 1.0);
  }
}

TEST(Shuffle, IsAPermutation) {
  std::vector<int> items(100);
  std::iota(items.begin(), items.end(), 0);
  RandomStream random(5, 6);

  shuffle(items, random);

  EXPECT_NE(items.front() * 1000 + items.back(), 99);
  std::sort(items.begin(), items.end());
  for (int i = 0; i < 100; ++i) EXPECT_EQ(items[static_cast<std::size_t>(i)], i);
}

}  // namespace
}  // namespace epskew
