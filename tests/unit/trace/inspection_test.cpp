#include "epskew/trace/inspection.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "epskew/support/error.hpp"

namespace epskew {
namespace {

using Loads = std::vector<std::int64_t>;

Trace small_trace() {
  Trace trace;
  trace.num_experts = 4;
  trace.topk = 2;
  TraceLayer layer;
  layer.layer = 5;
  layer.topk = 2;
  layer.topk_idx = {0, 1, 0, 2, -1, 0};
  layer.counts = {3, 1, 1, 0};
  trace.layers.push_back(layer);
  return trace;
}

TEST(Inspection, CountsSelectionsAndMessagesAtEveryNumberOfRanks) {
  const auto layers = inspect(small_trace(), std::vector{2, 4}, std::nullopt);

  ASSERT_EQ(layers.size(), 1u);
  EXPECT_EQ(layers[0].layer, 5);
  EXPECT_EQ(layers[0].tokens, 3);
  EXPECT_EQ(layers[0].selections, 5);
  EXPECT_EQ(layers[0].expert.empty, 1);
  EXPECT_EQ(layers[0].ranks[0].rank.loads, (Loads{4, 1}));
  EXPECT_EQ(layers[0].ranks[0].message->loads, (Loads{3, 1})) << "token 0 sends one message for two experts";
  EXPECT_DOUBLE_EQ(*layers[0].ranks[0].hot_over_others, 3.0);
  EXPECT_EQ(layers[0].ranks[1].rank.loads, (Loads{3, 1, 1, 0}));
  EXPECT_GT(*layers[0].ranks[1].uniform_floor, 1.0);
}

TEST(Inspection, NodesAreConsecutiveRanks) {
  auto layers = inspect(small_trace(), std::vector{2, 4}, std::nullopt);

  inspect_nodes(layers, 2);

  const auto& ranks = layers[0].ranks[1].rank.loads;
  EXPECT_EQ(layers[0].ranks[0].node->loads.size(), 1u);
  EXPECT_EQ(layers[0].ranks[1].node->loads,
            (std::vector<std::int64_t>{ranks[0] + ranks[1], ranks[2] + ranks[3]}));
  EXPECT_THROW(inspect_nodes(layers, 3), UsageError);
}

TEST(Inspection, PlacementMovesExpertsOnly) {
  const auto layers = inspect(small_trace(), std::vector{2}, Placement{{2, 0, 1, 3}});

  EXPECT_EQ(layers[0].expert.loads, (Loads{3, 1, 1, 0})) << "logical experts stay";
  EXPECT_EQ(layers[0].ranks[0].rank.loads, (Loads{2, 3}));
  EXPECT_EQ(layers[0].ranks[0].message->loads, (Loads{2, 3}));
}

TEST(Inspection, CountTracesHaveNoMessagesAndNoFloorWithoutTopk) {
  Trace trace = small_trace();
  trace.topk = 0;
  trace.layers[0].topk = 0;
  trace.layers[0].topk_idx.clear();

  const auto layers = inspect(trace, std::vector{2}, std::nullopt);

  EXPECT_EQ(layers[0].tokens, 0);
  EXPECT_FALSE(layers[0].ranks[0].message);
  EXPECT_FALSE(layers[0].ranks[0].hot_over_others);
  EXPECT_FALSE(layers[0].ranks[0].uniform_floor);
}

TEST(Inspection, UsualNumbersOfRanksDivideTheExperts) {
  EXPECT_EQ(usual_num_ranks(64), (std::vector<int>{8, 16, 32}));
  EXPECT_EQ(usual_num_ranks(72), (std::vector<int>{8}));
  EXPECT_EQ(usual_num_ranks(10), (std::vector<int>{2, 5, 10}));
  EXPECT_EQ(usual_num_ranks(60), (std::vector<int>{15, 20, 30}));
  EXPECT_EQ(usual_num_ranks(37), (std::vector<int>{37}));
  EXPECT_EQ(usual_num_ranks(1), (std::vector<int>{1}));
}

TEST(Inspection, SummaryNamesTheWorstLayer) {
  std::vector<LayerInspection> layers(3);
  layers[0].layer = 2;
  layers[0].expert.factor = -1.0;
  layers[1].layer = 4;
  layers[1].expert.factor = 6.0;
  layers[2].layer = 9;
  layers[2].expert.factor = 4.0;

  const OverLayers summary =
      over_layers(layers, [](const LayerInspection& layer) { return layer.expert.factor; });

  EXPECT_DOUBLE_EQ(summary.mean, 3.0);
  EXPECT_DOUBLE_EQ(summary.worst, 6.0);
  EXPECT_EQ(summary.worst_layer, 4);
}

}  // namespace
}  // namespace epskew
