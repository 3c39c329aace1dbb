#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "epskew/routing/load.hpp"
#include "epskew/workload/generate.hpp"
#include "helpers/usage_error.hpp"

namespace epskew {
namespace {

WorkloadSpec node_spec(int ranks, int ranks_per_node, double factor) {
  WorkloadSpec spec;
  spec.tokens_per_rank.assign(static_cast<std::size_t>(ranks), 64);
  spec.num_experts = 8 * ranks;
  spec.num_masked = 10;
  spec.imbalance_level = ImbalanceLevel::node;
  spec.ranks_per_node = ranks_per_node;
  spec.factor = factor;
  spec.seed = 5;
  return spec;
}

std::vector<std::int64_t> rank_loads(const Workload& workload) {
  validate(workload.table, "node level");
  return count_load(workload.table).rank.loads;
}

std::vector<std::int64_t> node_loads(const std::vector<std::int64_t>& ranks, int ranks_per_node) {
  std::vector<std::int64_t> nodes(ranks.size() / static_cast<std::size_t>(ranks_per_node), 0);
  for (std::size_t i = 0; i < ranks.size(); ++i)
    nodes[i / static_cast<std::size_t>(ranks_per_node)] += ranks[i];
  return nodes;
}

std::string refusal(const WorkloadSpec& spec) {
  return test::usage_error_of([&] { generate(spec); });
}

TEST(NodeLevel, TheHotNodeIsExactForEveryFamilyAndItsRanksAreEqual) {
  for (const Family family : {Family::lognormal, Family::gamma, Family::powerlaw, Family::weibull}) {
    for (const double factor : {1.0, 1.5, 2.0, 3.25}) {
      WorkloadSpec spec = node_spec(32, 8, factor);
      spec.family = family;

      const std::vector<std::int64_t> ranks = rank_loads(generate(spec));

      const std::vector<std::int64_t> nodes = node_loads(ranks, 8);
      const std::int64_t selections = 32 * (64 * 8 - 10);
      EXPECT_EQ(*std::max_element(nodes.begin(), nodes.end()),
                std::llround(factor * static_cast<double>(selections) / 4));
      for (std::size_t node = 0; node < 4; ++node) {
        const auto first = ranks.begin() + static_cast<std::ptrdiff_t>(8 * node);
        const auto [low, high] = std::minmax_element(first, first + 8);
        EXPECT_LE(*high - *low, 1);
      }
    }
  }
}

TEST(NodeLevel, TheHotRankSaysWhichNodeIsHot) {
  WorkloadSpec spec = node_spec(16, 4, 2.0);
  spec.hot_rank = 9;

  const std::vector<std::int64_t> nodes = node_loads(rank_loads(generate(spec)), 4);

  EXPECT_EQ(std::max_element(nodes.begin(), nodes.end()) - nodes.begin(), 2);
}

TEST(NodeLevel, BoundsAreThoseOfNodes) {
  const Workload workload = generate(node_spec(32, 8, 1.0));

  EXPECT_EQ(workload.imbalance_level, ImbalanceLevel::node);
  EXPECT_DOUBLE_EQ(workload.feasible_max,
                   4.0);                    // a node of 64 experts can take all selections of every token
  EXPECT_LT(workload.uniform_floor, 1.05);  // of 4 nodes; of 32 ranks it is above
  EXPECT_NE(refusal(node_spec(32, 8, 4.5)).find("4 nodes of 64 experts"), std::string::npos);
}

TEST(NodeLevel, NodesMustBeKnownAndDivideTheRanks) {
  EXPECT_NE(refusal(node_spec(8, 0, 2.0)).find("--ranks-per-node"), std::string::npos);
  EXPECT_NE(refusal(node_spec(8, 3, 2.0)).find("does not divide 8 ranks"), std::string::npos);
}

TEST(NodeLevel, LawsOverExpertsAreRefused) {
  WorkloadSpec spec = node_spec(8, 4, 2.0);
  spec.level = LawLevel::expert;

  EXPECT_NE(refusal(spec).find("imbalance over nodes"), std::string::npos);
}

WorkloadSpec preset(Pattern pattern, double factor) {
  WorkloadSpec spec = node_spec(32, 8, factor);
  spec.imbalance_level = ImbalanceLevel::rank;
  spec.pattern = pattern;
  return spec;
}

TEST(SkewInNodes, NodesAreEqualAndEachHasOneHotRank) {
  const Workload workload = generate(preset(Pattern::skew_in_nodes, 2.5));

  const std::vector<std::int64_t> ranks = rank_loads(workload);
  const std::vector<std::int64_t> nodes = node_loads(ranks, 8);
  const auto [least, most] = std::minmax_element(nodes.begin(), nodes.end());
  EXPECT_LE(*most - *least, 1);
  const std::int64_t hot = std::llround(2.5 * 502);
  for (std::size_t node = 0; node < 4; ++node) {
    std::vector<std::int64_t> own(ranks.begin() + static_cast<std::ptrdiff_t>(8 * node),
                                  ranks.begin() + static_cast<std::ptrdiff_t>(8 * node + 8));
    std::sort(own.begin(), own.end());
    EXPECT_EQ(own[7], hot);
    EXPECT_LE(own[6] - own[0], 1);
  }
  EXPECT_EQ(workload.distribution, "skew-in-nodes");
}

TEST(SkewInNodes, AFixedHotRankIsTheHotOneOfItsNode) {
  for (const int rank : {8, 13, 15}) {
    WorkloadSpec spec = preset(Pattern::skew_in_nodes, 2.5);
    spec.hot_rank = rank;

    const std::vector<std::int64_t> ranks = rank_loads(generate(spec));

    EXPECT_EQ(ranks[static_cast<std::size_t>(rank)], std::llround(2.5 * 502));
  }
}

TEST(SkewInNodes, ItsBoundIsReachedAndNothingAbove) {
  const double bound = generate(preset(Pattern::skew_in_nodes, 1.0)).feasible_max;

  EXPECT_GT(bound, 6.0);  // nearly all of a node's load on one of its eight ranks
  EXPECT_LE(bound, 8.0);
  EXPECT_DOUBLE_EQ(count_load(generate(preset(Pattern::skew_in_nodes, bound)).table).rank.factor, bound);
  EXPECT_NE(refusal(preset(Pattern::skew_in_nodes, bound + 0.01)).find("out of reach"), std::string::npos);
}

TEST(SkewAcrossNodes, OneNodeIsHotAndNothingElseDiffers) {
  const std::vector<std::int64_t> ranks = rank_loads(generate(preset(Pattern::skew_across_nodes, 2.5)));

  std::vector<std::int64_t> nodes = node_loads(ranks, 8);
  std::sort(nodes.begin(), nodes.end());
  EXPECT_EQ(nodes[3], std::llround(2.5 * 32 * 502 / 4));
  EXPECT_LE(nodes[2] - nodes[0], 1);
}

}  // namespace
}  // namespace epskew
