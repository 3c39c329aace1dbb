#include "epskew/workload/generate.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "epskew/routing/digest.hpp"
#include "epskew/routing/load.hpp"
#include "epskew/support/error.hpp"

namespace epskew {
namespace {

std::int64_t exact_hot(const RoutingLoad& load, double factor) {
  return std::max<std::int64_t>(std::llround(factor * load.rank.mean),
                                static_cast<std::int64_t>(std::ceil(load.rank.mean)));
}

TEST(Generate, DefaultShapeIsExactForEveryFamilyAndFactor) {
  for (const char* family : {"uniform", "lognormal", "gamma", "powerlaw", "weibull", "exprank"}) {
    for (const double factor : {1.0, 1.5, 2.0, 3.0, 5.0, 7.9, 8.0}) {
      WorkloadSpec spec;
      spec.family = *find_family(family);
      spec.factor = factor;
      spec.num_masked = 10;
      spec.seed = 3;

      const Workload workload = generate(spec);

      validate(workload.table, family);
      const RoutingLoad load = count_load(workload.table);
      ASSERT_EQ(load.rank.max, exact_hot(load, factor)) << family << ' ' << factor;
      ASSERT_EQ(std::count(workload.table.topk_idx.begin(), workload.table.topk_idx.end(), -1), 80);
      ASSERT_EQ(workload.distribution, family);
    }
  }
}

TEST(Generate, WithoutAFactorExpertsAreDrawnUniformly) {
  WorkloadSpec spec;
  spec.seed = 1;

  const Workload workload = generate(spec);

  validate(workload.table, "uniform");
  const RoutingLoad load = count_load(workload.table);
  EXPECT_EQ(workload.distribution, "uniform");
  EXPECT_GT(load.rank.factor, 1.0);
  EXPECT_LT(load.rank.factor, 1.15);
  EXPECT_NEAR(workload.uniform_floor, 1.044, 0.002);
  EXPECT_EQ(workload.feasible_max, 8.0);
}

TEST(Generate, AFactorOutOfReachIsRefusedWithTheBound) {
  WorkloadSpec spec;
  for (const double factor : {0.5, 8.01, std::nan("")}) {
    spec.factor = factor;
    try {
      generate(spec);
      FAIL() << factor;
    } catch (const UsageError& error) {
      EXPECT_NE(std::string(error.what()).find("8.00"), std::string::npos) << error.what();
    }
  }
}

TEST(Generate, TheHotRankIsTheSeedsOrTheUsers) {
  WorkloadSpec spec;
  spec.factor = 2.0;
  std::vector<int> hot_ranks;
  for (spec.seed = 0; spec.seed < 20; ++spec.seed)
    hot_ranks.push_back(count_load(generate(spec).table).rank.hot);
  EXPECT_GT(std::set<int>(hot_ranks.begin(), hot_ranks.end()).size(), 3u);

  spec.hot_rank = 5;
  for (spec.seed = 0; spec.seed < 5; ++spec.seed) EXPECT_EQ(count_load(generate(spec).table).rank.hot, 5);
}

TEST(Generate, SameSpecSameDigestOtherSeedOtherDigest) {
  WorkloadSpec spec;
  spec.factor = 3.0;

  const std::string first = digest(generate(spec).table);

  EXPECT_EQ(digest(generate(spec).table), first);
  spec.seed = 1;
  EXPECT_NE(digest(generate(spec).table), first);
}

}  // namespace
}  // namespace epskew
