// Exactness over the whole range of shapes the generator promises.

#include <gtest/gtest.h>

#include "unit/workload/random_spec.hpp"

namespace epskew {
namespace {

constexpr property::Ranges full = {};

TEST(GenerateProperty, NineThousandRankLevelSpecs) {
  for (std::uint64_t index = 0; index < 9000; ++index) {
    ASSERT_NO_FATAL_FAILURE(property::check_rank_level(index, full)) << index;
  }
}

TEST(GenerateProperty, OneThousandExpertLevelSpecs) {
  property::Tally tally;
  for (std::uint64_t index = 0; index < 1000; ++index) {
    ASSERT_NO_FATAL_FAILURE(property::check_expert_level(index, full, tally)) << index;
  }
  // The README tells these numbers; a factor is refused where the placement cannot reach it.
  EXPECT_EQ(tally.exact, 874);
  EXPECT_EQ(tally.refused, 126);
}

// The largest routings are too slow to take thousands of.
TEST(GenerateProperty, TheLargestShapes) {
  constexpr property::Ranges large = {.selections = 4000000};
  for (std::uint64_t index = 0; index < 30; ++index) {
    ASSERT_NO_FATAL_FAILURE(property::check_rank_level(index, large)) << index;
  }
}

}  // namespace
}  // namespace epskew
