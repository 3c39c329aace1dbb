#include <gtest/gtest.h>

#include "unit/workload/random_spec.hpp"

namespace epskew {
namespace {

// The full ranges with ten times as many specs are in tests/slow.
constexpr property::Ranges small = {.ranks = 64, .experts = 512, .tokens = 256, .selections = 4000};

TEST(GenerateProperty, RankLevelIsExactOrRefusedWithTheBound) {
  for (std::uint64_t index = 0; index < 1000; ++index) {
    ASSERT_NO_FATAL_FAILURE(property::check_rank_level(index, small));
  }
}

TEST(GenerateProperty, ExpertLevelIsExactOrRefusedWithAReachableBound) {
  property::Tally tally;
  for (std::uint64_t index = 0; index < 150; ++index) {
    ASSERT_NO_FATAL_FAILURE(property::check_expert_level(index, small, tally));
  }
  EXPECT_GT(tally.exact, tally.refused);
}

}  // namespace
}  // namespace epskew
