#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "epskew/routing/load.hpp"
#include "epskew/support/error.hpp"
#include "epskew/support/random.hpp"
#include "epskew/workload/generate.hpp"

namespace epskew {
namespace {

/// DeepSeek-V3: 256 experts in 8 groups, a token reaches 4.
WorkloadSpec v3_spec(int ranks, double factor) {
  WorkloadSpec spec;
  spec.num_experts = 256;
  spec.tokens_per_rank.assign(static_cast<std::size_t>(ranks), 1024 / ranks);
  spec.num_groups = 8;
  spec.topk_groups = 4;
  spec.factor = factor;
  spec.seed = 17;
  return spec;
}

std::size_t most_groups(const RoutingTable& table, int num_groups) {
  std::size_t most = 0;
  const auto topk = static_cast<std::size_t>(table.topk);
  for (std::size_t first = 0; first < table.topk_idx.size(); first += topk) {
    std::set<int> groups;
    for (std::size_t k = 0; k < topk; ++k) {
      const std::int32_t expert = table.topk_idx[first + k];
      if (expert >= 0) groups.insert(expert / (table.num_experts / num_groups));
    }
    most = std::max(most, groups.size());
  }
  return most;
}

void expect_exact_in_groups(const WorkloadSpec& spec) {
  const RoutingTable table = generate(spec).table;
  validate(table, "grouped");
  const LoadMetrics load = count_load(table).rank;
  ASSERT_EQ(load.max,
            std::max(std::llround(*spec.factor * load.mean), static_cast<long long>(std::ceil(load.mean))))
      << spec.num_ranks() << " ranks, factor " << *spec.factor;
  ASSERT_LE(most_groups(table, spec.num_groups), static_cast<std::size_t>(spec.topk_groups));
}

TEST(ExpertGroups, ExactWhereGroupsAreRanksSplitRanksOrSpanThem) {
  for (const int ranks : {2, 4, 8, 16, 32, 64}) {
    for (const double factor : {1.0, 1.5, 1.9}) expect_exact_in_groups(v3_spec(ranks, factor));
  }
  for (const double factor : {3.0, 5.0, 8.0}) expect_exact_in_groups(v3_spec(8, factor));
}

TEST(ExpertGroups, ExactUnderMasksAndUnequalTokens) {
  WorkloadSpec spec = v3_spec(8, 2.0);
  spec.tokens_per_rank = {100, 0, 7, 300, 21, 64, 128, 1};
  spec.num_masked = 10;

  expect_exact_in_groups(spec);
}

TEST(ExpertGroups, ExactWhereGroupsAndRanksDoNotAlign) {
  // Ranks of 12 experts, groups of 8: a rank overlaps 8 + 4, 4 + 8; with one group a token it can take 8
  // of 8.
  WorkloadSpec spec = v3_spec(8, 1.5);
  spec.num_experts = 48;
  spec.tokens_per_rank.assign(4, 100);
  spec.num_groups = 6;
  spec.topk_groups = 2;

  expect_exact_in_groups(spec);
}

TEST(ExpertGroups, TheBoundCountsReachableExpertsOnly) {
  // One group of 8 a token, ranks of 32 experts: a token cannot give a rank more than 8 of 8; and 4 ranks:
  // bound 4.
  WorkloadSpec spec = v3_spec(4, 4.1);
  spec.num_experts = 128;
  spec.num_groups = 16;
  spec.topk_groups = 1;
  std::string message;

  try {
    generate(spec);
  } catch (const UsageError& error) {
    message = error.what();
  }

  EXPECT_NE(message.find("choose 1 to 4.00"), std::string::npos) << message;
  spec.factor = 4.0;
  expect_exact_in_groups(spec);
}

TEST(ExpertGroups, TooFewTokensToSpreadAreRefused) {
  // One token of top-8 in 4 groups reaches 4 of 8 ranks: it cannot be balanced.
  WorkloadSpec spec = v3_spec(8, 1.0);
  spec.tokens_per_rank = {1, 0, 0, 0, 0, 0, 0, 0};
  std::string message;

  try {
    generate(spec);
  } catch (const UsageError& error) {
    message = error.what();
  }

  EXPECT_NE(message.find("out of reach under group-limited top-k"), std::string::npos) << message;
}

TEST(ExpertGroups, TheUniformDrawHonoursThem) {
  WorkloadSpec spec = v3_spec(8, 1.0);
  spec.factor.reset();

  const RoutingTable table = generate(spec).table;

  validate(table, "uniform");
  EXPECT_EQ(most_groups(table, 8), 4u);
}

TEST(ExpertGroups, RandomShapesAreExact) {
  constexpr int sizes[] = {1, 2, 4};
  RandomStream random(1, 0x67726f75);
  for (int i = 0; i < 200; ++i) {
    const int ranks = 2 << random.below(4);
    WorkloadSpec spec;
    spec.num_groups = 4 << random.below(2);
    spec.num_experts = std::max(ranks, spec.num_groups) * 4 * sizes[random.below(3)];
    spec.topk_groups = 2 + static_cast<int>(random.below(2));
    // A token that takes nearly all experts of its groups leaves few loads possible; half of them is free
    // enough.
    const int reachable = spec.topk_groups * (spec.num_experts / spec.num_groups);
    spec.topk =
        2 + static_cast<int>(random.below(static_cast<std::uint32_t>(std::min(7, reachable / 2 - 1))));
    spec.tokens_per_rank.assign(static_cast<std::size_t>(ranks), 16 + static_cast<int>(random.below(64)));
    spec.num_masked = static_cast<int>(random.below(3));
    spec.family = static_cast<Family>(random.below(6));
    spec.seed = random.next_u64();
    const double bound = generate(spec).feasible_max;
    spec.factor = i % 8 == 0 ? bound : 1.0 + (bound - 1.0) * random.uniform();

    ASSERT_NO_FATAL_FAILURE(expect_exact_in_groups(spec)) << i;
  }
}

}  // namespace
}  // namespace epskew
