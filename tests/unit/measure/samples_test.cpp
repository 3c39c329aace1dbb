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

TEST(Samples, AnEmptyMatrixHasNothing) {
  EXPECT_EQ(SampleMatrix{}.iterations(), 0);
  EXPECT_TRUE(slowest_rank({}).empty());
  EXPECT_TRUE(times_slowest({}).empty());
}

}  // namespace
}  // namespace epskew
