#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "epskew/routing/load.hpp"
#include "epskew/support/error.hpp"
#include "epskew/workload/generate.hpp"

namespace epskew {
namespace {

WorkloadSpec expert_spec(double factor) {
  WorkloadSpec spec;
  spec.level = LawLevel::expert;
  spec.factor = factor;
  spec.num_masked = 10;
  spec.seed = 5;
  return spec;
}

TEST(ExpertLevel, IsExactUnderEveryPlacementThatCanReachTheFactor) {
  const Placement placements[] = {contiguous_placement(288), random_placement(288, 3)};
  for (const Placement& placement : placements) {
    for (const char* family : {"lognormal", "gamma", "powerlaw", "weibull", "exprank"}) {
      for (const double factor : {1.0, 1.2, 1.5}) {
        WorkloadSpec spec = expert_spec(factor);
        spec.family = *find_family(family);
        spec.placement = placement;

        const RoutingLoad load = count_load(generate(spec).table);

        ASSERT_EQ(load.rank.max, std::llround(factor * 1014)) << family << ' ' << factor;
      }
    }
  }
}

TEST(ExpertLevel, ContiguousPlacementKeepsPopularExpertsTogether) {
  WorkloadSpec spec = expert_spec(4.0);
  spec.placement = contiguous_placement(288);

  const Workload workload = generate(spec);

  validate(workload.table, "expert level");
  const RoutingLoad load = count_load(workload.table);
  EXPECT_EQ(load.rank.max, 4056);
  EXPECT_EQ(load.rank.hot, 0);
  EXPECT_TRUE(std::is_sorted(load.rank.loads.rbegin(), load.rank.loads.rend()));
  EXPECT_GT(workload.parameters.at("sigma"), 0.0);
}

TEST(ExpertLevel, APlacementThatCannotReachTheFactorIsRefusedWithItsBound) {
  WorkloadSpec spec = expert_spec(4.0);
  spec.placement = spread_placement(288, 8);
  std::string message;

  try {
    generate(spec);
  } catch (const UsageError& error) {
    message = error.what();
  }

  ASSERT_NE(message.find("under this placement lognormal experts reach at most"), std::string::npos)
      << message;
  const double bound = std::stod(message.substr(message.rfind(' ') + 1));
  spec.factor = bound;
  EXPECT_EQ(count_load(generate(spec).table).rank.max, std::llround(bound * 1014));
}

TEST(ExpertLevel, TheReachableFactorIsReachedAndNoMoreIs) {
  for (const Placement& placement : {spread_placement(288, 8), contiguous_placement(288)}) {
    WorkloadSpec spec = expert_spec(1.0);
    spec.placement = placement;

    const double bound = reachable_factor(spec);

    spec.factor = bound;
    EXPECT_EQ(count_load(generate(spec).table).rank.max, std::llround(bound * 1014));
    spec.factor = bound + 0.01;
    EXPECT_THROW(generate(spec), UsageError);
  }
}

TEST(ReachableFactor, OverRanksIsWhatIsFeasible) {
  WorkloadSpec spec;
  spec.num_masked = 10;
  EXPECT_EQ(reachable_factor(spec), 8.0);
  spec.pattern = Pattern::hot_rank;
  EXPECT_EQ(reachable_factor(spec), 8.0) << "no factor is needed to ask";
}

TEST(ExpertLevel, WithoutAFactorTheExpertsFollowTheShape) {
  WorkloadSpec spec = expert_spec(1.0);
  spec.factor.reset();
  spec.shape = 0.8;
  spec.num_masked = 0;

  const Workload workload = generate(spec);

  std::vector<std::int64_t> loads = count_load(workload.table).expert.loads;
  std::sort(loads.begin(), loads.end());
  const std::vector<double> curve = load_curve(Family::lognormal, 0.8, 288);
  for (std::size_t i = 0; i < loads.size(); ++i) {
    EXPECT_NEAR(static_cast<double>(loads[i]), curve[i] * 8192 / 288, 1.0);
  }
  EXPECT_EQ(workload.parameters.at("sigma"), 0.8);
}

TEST(ExpertLevel, AShapeTheTokensCannotTakeIsRefused) {
  WorkloadSpec spec = expert_spec(1.0);
  spec.factor.reset();
  spec.shape = 4.0;

  EXPECT_THROW(generate(spec), UsageError);
}

}  // namespace
}  // namespace epskew
