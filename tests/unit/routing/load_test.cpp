#include "epskew/routing/load.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "unit/routing/small_table.hpp"

namespace epskew {
namespace {

using Loads = std::vector<std::int64_t>;

TEST(MeasureLoads, EveryMetricOfAHandWorkedSet) {
  const LoadMetrics metrics = measure_loads(Loads{3, 1, 0, 4});

  EXPECT_EQ(metrics.loads, (Loads{3, 1, 0, 4}));
  EXPECT_EQ(metrics.max, 4);
  EXPECT_EQ(metrics.min, 0);
  EXPECT_EQ(metrics.hot, 3);
  EXPECT_EQ(metrics.empty, 1);
  EXPECT_DOUBLE_EQ(metrics.mean, 2.0);
  EXPECT_DOUBLE_EQ(metrics.median, 2.0);
  EXPECT_DOUBLE_EQ(metrics.std, std::sqrt(2.5));  // (1 + 1 + 4 + 4) / 4
  EXPECT_DOUBLE_EQ(metrics.factor, 2.0);
  EXPECT_DOUBLE_EQ(metrics.balancedness, 0.5);
  EXPECT_DOUBLE_EQ(metrics.max_vio, 1.0);
  EXPECT_DOUBLE_EQ(metrics.cv, std::sqrt(2.5) / 2.0);
  EXPECT_DOUBLE_EQ(metrics.gini, 14.0 / 32.0);  // pairs differ by 1+3+4+2+3+1 = 14; over n * sum = 32
  const double h = -(3.0 / 8 * std::log(3.0 / 8) + 1.0 / 8 * std::log(1.0 / 8) + 0.5 * std::log(0.5));
  EXPECT_DOUBLE_EQ(metrics.entropy, h / std::log(4.0));
}

TEST(MeasureLoads, AMedianOfAnOddNumberIsTheMiddle) {
  EXPECT_DOUBLE_EQ(measure_loads(Loads{9, 1, 5}).median, 5.0);
}

TEST(MeasureLoads, NoLoadAtAllIsBalanced) {
  const LoadMetrics metrics = measure_loads(Loads{0, 0});

  EXPECT_EQ(metrics.factor, 1.0);
  EXPECT_EQ(metrics.balancedness, 1.0);
  EXPECT_EQ(metrics.max_vio, 0.0);
  EXPECT_EQ(metrics.cv, 0.0);
  EXPECT_EQ(metrics.gini, 0.0);
  EXPECT_EQ(metrics.entropy, 1.0);
  EXPECT_EQ(metrics.empty, 2);
}

TEST(MeasureLoads, OneLoadIsBalanced) {
  const LoadMetrics metrics = measure_loads(Loads{7});

  EXPECT_EQ(metrics.factor, 1.0);
  EXPECT_EQ(metrics.gini, 0.0);
  EXPECT_EQ(metrics.entropy, 1.0);
}

TEST(MeasureLoads, EqualLoadsHaveEntropyOneAndTheFirstIsHot) {
  const LoadMetrics metrics = measure_loads(Loads{5, 5, 5, 5});

  EXPECT_DOUBLE_EQ(metrics.entropy, 1.0);
  EXPECT_EQ(metrics.gini, 0.0);
  EXPECT_EQ(metrics.hot, 0);
}

TEST(CountLoad, CountsSelectionsMessagesAndPairsAfterMasking) {
  const RoutingLoad load = count_load(small_table());

  EXPECT_EQ(load.expert.loads, (Loads{2, 2, 1, 0}));
  EXPECT_EQ(load.selections, (Loads{3, 1, 1, 0}));
  EXPECT_EQ(load.messages, (Loads{2, 1, 1, 0}));
  EXPECT_EQ(load.rank.loads, (Loads{4, 1}));
  EXPECT_EQ(load.message.loads, (Loads{3, 1}));
  EXPECT_DOUBLE_EQ(load.rank.factor, 1.6);
  EXPECT_DOUBLE_EQ(load.hot_over_others, 3.0);
  EXPECT_EQ(load.hottest_source, 0);
  EXPECT_EQ(load.hottest_destination, 0);
}

TEST(CountLoad, TheHottestPairNeedNotBeOnTheHotRank) {
  RoutingTable table = small_table();
  table.topk_idx = {2, 3, /**/ 0, 3, /**/ 0, 1};

  const RoutingLoad load = count_load(table);

  EXPECT_EQ(load.rank.loads, (Loads{3, 3}));
  EXPECT_EQ(load.hottest_source, 0);
  EXPECT_EQ(load.hottest_destination, 1);
}

TEST(CountLoad, HotOverOthersUsesTheHotRankOfSelections) {
  // Rank 0 takes four selections in two messages, rank 1 three selections in three messages.
  RoutingTable table;
  table.num_experts = 4;
  table.topk = 2;
  table.tokens_per_rank = {5, 0};
  table.topk_idx = {0, 1, 0, 1, 2, -1, 2, -1, 2, -1};
  table.topk_weights.assign(10, 0.0f);

  EXPECT_DOUBLE_EQ(count_load(table).hot_over_others, 2.0 / 3.0);
}

TEST(CountLoad, HotOverOthersIsInfiniteWhereOnlyOneRankHasLoad) {
  RoutingTable table = small_table();
  table.topk_idx = {0, 1, 0, 1, 0, 1};

  EXPECT_EQ(count_load(table).hot_over_others, std::numeric_limits<double>::infinity());
}

}  // namespace
}  // namespace epskew
