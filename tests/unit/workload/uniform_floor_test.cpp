#include "epskew/workload/uniform_floor.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "epskew/routing/load.hpp"
#include "epskew/workload/generate.hpp"

namespace epskew {
namespace {

struct Case {
  const char* what;
  int num_experts, num_ranks, topk, num_groups, topk_groups, tokens;
};

WorkloadSpec spec_of(const Case& c) {
  WorkloadSpec spec;
  spec.num_experts = c.num_experts;
  spec.topk = c.topk;
  spec.num_groups = c.num_groups;
  spec.topk_groups = c.topk_groups;
  spec.tokens_per_rank.assign(static_cast<std::size_t>(c.num_ranks), c.tokens);
  return spec;
}

/// Mean factor of so many uniform routings, and its standard error.
struct Drawn {
  double mean = 0.0;
  double error = 0.0;
};

Drawn drawn_factor(WorkloadSpec spec, int draws) {
  double sum = 0.0;
  double squares = 0.0;
  for (spec.seed = 1; spec.seed <= static_cast<std::uint64_t>(draws); ++spec.seed) {
    const double factor = count_load(generate(spec).table).rank.factor;
    sum += factor;
    squares += factor * factor;
  }
  const double mean = sum / draws;
  return {mean, std::sqrt(std::max(0.0, squares / draws - mean * mean) / draws)};
}

TEST(UniformFloor, IsTheMeanFactorOfUniformRouting) {
  for (const Case& c :
       {Case{"no groups", 288, 8, 8, 1, 1, 128}, Case{"a group a rank", 256, 8, 8, 8, 4, 128},
        Case{"two groups a rank", 256, 4, 8, 8, 4, 16}, Case{"ranks share a group", 256, 32, 8, 8, 4, 64},
        Case{"one group a token, all its experts", 64, 16, 8, 8, 1, 64},
        Case{"borders of groups cut through ranks", 288, 12, 8, 8, 3, 64},
        Case{"below the normal", 256, 32, 8, 8, 4, 1}}) {
    const WorkloadSpec spec = spec_of(c);
    const std::int64_t selections = std::int64_t{c.num_ranks} * c.tokens * c.topk;

    const double floor = uniform_floor(spec, selections);

    const Drawn drawn = drawn_factor(spec, 400);
    EXPECT_NEAR(floor, drawn.mean, 0.01 * drawn.mean + 3 * drawn.error) << c.what;
  }
}

TEST(UniformFloor, DoesNotJumpWhereTheNormalTakesOver) {
  const WorkloadSpec spec = spec_of({"DeepSeek-V3", 256, 8, 8, 8, 4, 2});

  const double simulated = uniform_floor(spec, 8 * 16 - 8);
  const double normal = uniform_floor(spec, 8 * 16);

  EXPECT_NEAR(normal, simulated, 0.05 * simulated);
}

TEST(UniformFloor, IsOneWhereNothingVaries) {
  EXPECT_EQ(uniform_floor(spec_of({"every expert", 8, 4, 8, 1, 1, 128}), 4 * 128 * 8), 1.0);
  EXPECT_EQ(uniform_floor(spec_of({"one rank", 16, 1, 2, 4, 2, 128}), 128 * 2), 1.0);
  EXPECT_EQ(uniform_floor(spec_of({"no selection", 16, 4, 2, 4, 2, 0}), 0), 1.0);
}

}  // namespace
}  // namespace epskew
