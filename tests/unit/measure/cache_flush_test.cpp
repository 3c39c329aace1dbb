#include "measure/cache_flush.hpp"

#include <gtest/gtest.h>

namespace epskew {
namespace {

constexpr std::int64_t mebi = std::int64_t{1} << 20;

TEST(CacheFlush, SharesTheCacheAmongTheRanks) {
  EXPECT_EQ(CacheFlush(64 * mebi, 0.25).bytes(), 16 * mebi);
}

TEST(CacheFlush, IsBoundedOnBothSides) {
  EXPECT_EQ(CacheFlush(64 * mebi, 1.0 / 64).bytes(), 2 * mebi);
  EXPECT_EQ(CacheFlush(4096 * mebi, 1).bytes(), 256 * mebi);
}

TEST(CacheFlush, AnUnknownCacheIsTakenForALargeOne) {
  EXPECT_EQ(CacheFlush(0, 1).bytes(), 32 * mebi);
}

}  // namespace
}  // namespace epskew
