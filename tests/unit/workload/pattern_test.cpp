#include "epskew/workload/pattern.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "epskew/routing/load.hpp"
#include "epskew/workload/generate.hpp"
#include "helpers/usage_error.hpp"

namespace epskew {
namespace {

WorkloadSpec pattern_spec(Pattern pattern) {
  WorkloadSpec spec;
  spec.pattern = pattern;
  spec.num_masked = 10;
  spec.seed = 11;
  return spec;
}

std::string refusal(const WorkloadSpec& spec) {
  return test::usage_error_of([&] { generate(spec); });
}

TEST(PatternHotRank, OneRankIsHotAndTheOthersAreEqual) {
  WorkloadSpec spec = pattern_spec(Pattern::hot_rank);
  spec.factor = 3.0;

  const Workload workload = generate(spec);

  validate(workload.table, "hot rank");
  std::vector<std::int64_t> loads = count_load(workload.table).rank.loads;
  std::sort(loads.begin(), loads.end());
  EXPECT_EQ(loads.back(), 3042);  // 3 * (8192 - 80) / 8
  EXPECT_LE(loads[6] - loads[0], 1);
  EXPECT_EQ(workload.distribution, "hot-rank");
}

TEST(PatternRotating, TheHotRankMovesByOneWithEveryStep) {
  WorkloadSpec spec = pattern_spec(Pattern::rotating);
  spec.factor = 2.0;
  const int first = count_load(generate(spec).table).rank.hot;

  for (spec.step = 1; spec.step < 10; ++spec.step) {
    EXPECT_EQ(count_load(generate(spec).table).rank.hot, (first + spec.step) % 8);
  }
}

TEST(PatternBurst, TheRecordSaysWhichStepItIs) {
  WorkloadSpec spec = pattern_spec(Pattern::burst);
  spec.factor = 4.0;
  spec.burst_period = 3;
  spec.step = 2;

  const Workload workload = generate(spec);

  EXPECT_EQ(workload.distribution, "burst");
  EXPECT_EQ(workload.parameters, (std::map<std::string, double>{{"burst_period", 3}, {"step", 2}}));
}

TEST(PatternRotating, TheLastStepOfAllIsNoOverflow) {
  WorkloadSpec spec = pattern_spec(Pattern::rotating);
  spec.factor = 2.0;
  const int first = count_load(generate(spec).table).rank.hot;
  spec.step = std::numeric_limits<int>::max();

  EXPECT_EQ(count_load(generate(spec).table).rank.hot, (first + 7) % 8);  // 2^31 - 1 = 7 mod 8
}

TEST(PatternNames, AreThoseOfTheCommandLine) {
  for (const Pattern pattern :
       {Pattern::none, Pattern::hot_rank, Pattern::k_hot, Pattern::rotating, Pattern::burst, Pattern::matrix,
        Pattern::skew_in_nodes, Pattern::skew_across_nodes}) {
    EXPECT_EQ(find_pattern(name_of(pattern)), pattern);
  }
  EXPECT_EQ(name_of(Pattern::k_hot), "k-hot");
  EXPECT_EQ(find_pattern("k_hot"), std::nullopt);
  EXPECT_EQ(pattern_names(),
            "none, hot-rank, k-hot, rotating, burst, matrix, skew-in-nodes, skew-across-nodes");
}

TEST(PatternBurst, EveryPeriodthStepIsHotTheOthersAreBalanced) {
  WorkloadSpec spec = pattern_spec(Pattern::burst);
  spec.factor = 4.0;
  spec.burst_period = 3;
  std::vector<std::int64_t> largest;

  for (spec.step = 0; spec.step < 6; ++spec.step)
    largest.push_back(count_load(generate(spec).table).rank.max);

  EXPECT_EQ(largest, (std::vector<std::int64_t>{1014, 1014, 4056, 1014, 1014, 4056}));
}

TEST(PatternKHot, HotExpertsShareTheFraction) {
  WorkloadSpec spec = pattern_spec(Pattern::k_hot);

  const Workload workload = generate(spec);

  validate(workload.table, "k hot");
  std::vector<std::int64_t> loads = count_load(workload.table).expert.loads;
  std::sort(loads.rbegin(), loads.rend());
  EXPECT_EQ(std::accumulate(loads.begin(), loads.begin() + 32, std::int64_t{0}), 7301);  // 0.9 * 8112
  EXPECT_LE(loads[0] - loads[31], 1);
  EXPECT_LE(loads[32] - loads[287], 1);
  EXPECT_EQ(workload.parameters.at("hot_experts"), 32);
}

TEST(PatternKHot, AFractionTheTokensCannotTakeIsRefusedWithTheBound) {
  WorkloadSpec spec = pattern_spec(Pattern::k_hot);
  spec.hot_experts = 4;
  spec.num_masked = 0;

  EXPECT_NE(refusal(spec).find("0.0000 to 0.5000"), std::string::npos) << refusal(spec);
  spec.hot_fraction = 0.5;
  EXPECT_EQ(refusal(spec), "");
}

TEST(PatternMatrix, IsRealisedToTheSelection) {
  WorkloadSpec spec = pattern_spec(Pattern::matrix);
  spec.num_experts = 8;
  spec.topk = 2;
  spec.tokens_per_rank = {4, 3};
  spec.num_masked = 1;
  spec.matrix = {5, 2, 0, 5};

  const Workload workload = generate(spec);

  validate(workload.table, "matrix");
  EXPECT_EQ(count_load(workload.table).selections, spec.matrix);
}

TEST(PatternMatrix, IsRefusedWhereItDoesNotFitTheTokens) {
  WorkloadSpec spec = pattern_spec(Pattern::matrix);
  spec.num_experts = 4;
  spec.topk = 3;
  spec.tokens_per_rank = {2, 2};
  spec.num_masked = 0;
  spec.matrix = {4, 2, 3};
  EXPECT_NE(refusal(spec).find("2 ranks need 4"), std::string::npos) << refusal(spec);
  spec.matrix = {4, 2, 3, 2};
  EXPECT_NE(refusal(spec).find("row 1 of the matrix sums to 5"), std::string::npos) << refusal(spec);
  spec.matrix = {4, 2, 5, 1};
  EXPECT_NE(refusal(spec).find("can take 4"), std::string::npos) << refusal(spec);
  spec.matrix = {4, 2, 7, -1};
  EXPECT_NE(refusal(spec).find("entry -1"), std::string::npos) << refusal(spec);
}

TEST(Pattern, ContradictionsAreRefused) {
  EXPECT_NE(refusal(pattern_spec(Pattern::hot_rank)).find("no imbalance factor"), std::string::npos);
  WorkloadSpec spec = pattern_spec(Pattern::k_hot);
  spec.factor = 2.0;
  EXPECT_NE(refusal(spec).find("leave it out"), std::string::npos);
  spec = pattern_spec(Pattern::burst);
  spec.factor = 2.0;
  spec.burst_period = 0;
  EXPECT_NE(refusal(spec).find("period"), std::string::npos);
}

}  // namespace
}  // namespace epskew
