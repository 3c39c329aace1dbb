#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "epskew/routing/load.hpp"
#include "epskew/support/error.hpp"
#include "epskew/workload/generate.hpp"

namespace epskew {
namespace {

WorkloadSpec multinomial_spec(double factor) {
  WorkloadSpec spec;
  spec.sampling = Sampling::multinomial;
  spec.num_experts = 64;
  spec.topk = 4;
  spec.tokens_per_rank.assign(8, 64);
  spec.factor = factor;
  spec.seed = 2;
  return spec;
}

TEST(Multinomial, ComesNearTheTargetWithNaturalNoise) {
  WorkloadSpec spec = multinomial_spec(1.8);
  spec.num_masked = 5;

  const Workload workload = generate(spec);

  validate(workload.table, "multinomial");
  const RoutingLoad load = count_load(workload.table);
  EXPECT_NEAR(load.rank.factor, 1.8, 0.1);
  EXPECT_EQ(workload.distribution, "lognormal");
  EXPECT_GT(workload.parameters.at("sigma"), 0.1);
}

TEST(Multinomial, ATargetItCannotReachIsMissedNotHidden) {
  WorkloadSpec spec = multinomial_spec(8.0);

  const RoutingLoad load = count_load(generate(spec).table);

  EXPECT_LT(load.rank.factor, 7.0);
}

TEST(Multinomial, DrawsInProportionToPopularity) {
  // Two experts, top-1: the drawn shares must be the curve's, which at sigma 1 are the quartiles of a
  // log-normal.
  WorkloadSpec spec = multinomial_spec(1.0);
  spec.factor.reset();
  spec.shape = 1.0;
  spec.num_experts = 2;
  spec.topk = 1;
  spec.tokens_per_rank = {20000, 0};
  spec.placement = contiguous_placement(2);

  const RoutingLoad load = count_load(generate(spec).table);

  const double share = load_curve(Family::lognormal, 1.0, 2)[1] / 2.0;
  EXPECT_NEAR(static_cast<double>(load.expert.max) / 20000, share,
              4 * std::sqrt(share * (1 - share) / 20000));
}

TEST(Multinomial, HonoursExpertGroups) {
  WorkloadSpec spec = multinomial_spec(1.5);
  spec.num_groups = 8;
  spec.topk_groups = 2;

  const RoutingTable table = generate(spec).table;

  for (std::size_t token = 0; token < 512; ++token) {
    std::set<int> groups;
    for (std::size_t k = 0; k < 4; ++k) groups.insert(table.topk_idx[token * 4 + k] / 8);
    ASSERT_LE(groups.size(), 2u);
  }
}

TEST(Multinomial, RefusesWhatNoRoutingCanHave) {
  EXPECT_THROW(generate(multinomial_spec(8.5)), UsageError);
  EXPECT_THROW(generate(multinomial_spec(0.9)), UsageError);
}

}  // namespace
}  // namespace epskew
