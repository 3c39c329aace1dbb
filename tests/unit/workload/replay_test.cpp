#include "epskew/workload/replay.hpp"

#include <gtest/gtest.h>

#include <string>

#include "epskew/routing/load.hpp"
#include "helpers/usage_error.hpp"

namespace epskew {
namespace {

using Counts = std::vector<std::int64_t>;

std::string refusal(const std::vector<std::int32_t>& tokens, int topk, const Counts& counts) {
  return test::usage_error_of([&] { realise_expert_counts(tokens, topk, counts, 0); });
}

TEST(RealiseExpertCounts, KeepsCountsThatFitTheTokens) {
  const Counts counts = {5, 0, 3, 2};

  const RealisedCounts realised = realise_expert_counts({2, 3}, 2, counts, 9);

  validate(realised.table, "replay");
  EXPECT_EQ(realised.scale, 1.0);
  EXPECT_EQ(realised.counts, counts);
  EXPECT_EQ(count_load(realised.table).expert.loads, counts);
}

TEST(RealiseExpertCounts, ScalesOthersByLargestRemainder) {
  // 20 selections onto 10: 2.5, 3.5, 4 → the remainder tie goes to the lower index.
  const RealisedCounts realised = realise_expert_counts({5, 0, 0}, 2, Counts{5, 7, 8}, 9);

  EXPECT_EQ(realised.scale, 0.5);
  EXPECT_EQ(realised.counts, (Counts{3, 3, 4}));
  EXPECT_EQ(count_load(realised.table).expert.loads, realised.counts);
}

TEST(RealiseExpertCounts, SameArgumentsSameTableOtherSeedOtherTable) {
  const Counts counts(16, 8);

  const RealisedCounts first = realise_expert_counts({16, 16}, 4, counts, 1);

  EXPECT_EQ(first.table, realise_expert_counts({16, 16}, 4, counts, 1).table);
  EXPECT_NE(first.table, realise_expert_counts({16, 16}, 4, counts, 2).table);
}

TEST(RealiseExpertCounts, RefusesWhatIsImpossible) {
  EXPECT_NE(refusal({5, 0}, 2, {8, 2}).find("at most 1/2"), std::string::npos);
  EXPECT_NE(refusal({5, 0}, 2, {0, 0}).find("all zero"), std::string::npos);
  EXPECT_NE(refusal({5, 0}, 2, {-1, 11}).find("count -1"), std::string::npos);
  EXPECT_NE(refusal({5, 0}, 3, {5, 5}).find("--num-topk 3"), std::string::npos);
  EXPECT_NE(refusal({5, 0}, 1, {5, 5, 5}).find("does not divide"), std::string::npos);
}

TEST(RealiseExpertCounts, NoTokensIsARoutingWithoutSelections) {
  const RealisedCounts realised = realise_expert_counts({0, 0}, 1, Counts{3, 4}, 0);

  EXPECT_EQ(realised.counts, (Counts{0, 0}));
  EXPECT_TRUE(realised.table.topk_idx.empty());
}

}  // namespace
}  // namespace epskew
