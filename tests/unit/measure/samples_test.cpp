#include "epskew/measure/samples.hpp"

#include <gtest/gtest.h>

namespace epskew {
namespace {

// Three iterations of two ranks; a tie in the last.
const SampleMatrix samples = {2, {1, 2, 5, 3, 4, 4}};

TEST(Samples, SlowestRankIsTheMaximumOfEveryIteration) {
  EXPECT_EQ(slowest_rank(samples), (std::vector<double>{2, 5, 4}));
}

TEST(Samples, TimesOfARankAreItsColumn) {
  EXPECT_EQ(times_of_rank(samples, 0), (std::vector<double>{1, 5, 4}));
  EXPECT_EQ(times_of_rank(samples, 1), (std::vector<double>{2, 3, 4}));
}

TEST(Samples, ATieCountsForTheLowestRank) {
  EXPECT_EQ(times_slowest(samples), (std::vector<std::int64_t>{2, 1}));
}

TEST(Samples, SharesOfTheSlowestDivideTies) {
  EXPECT_EQ(shares_slowest({2, {1, 2, 3, 3}}), (std::vector<double>{0.5, 1.5}));
  EXPECT_EQ(shares_slowest({3, {1, 2, 2, 5, 1, 1}}), (std::vector<double>{1, 0.5, 0.5}));
}

TEST(Samples, WhereAllRanksAreAsSlowNoneIsNamed) {
  EXPECT_TRUE(shares_slowest({3, {7, 7, 7, 2, 2, 2}}).empty());
  EXPECT_TRUE(shares_slowest({2, {1, 2, 2, 1}}).empty());
}

TEST(Samples, AnEmptyMatrixHasNothing) {
  EXPECT_EQ(SampleMatrix{}.iterations(), 0);
  EXPECT_TRUE(slowest_rank({}).empty());
  EXPECT_TRUE(times_slowest({}).empty());
  EXPECT_TRUE(shares_slowest({}).empty());
}

}  // namespace
}  // namespace epskew
