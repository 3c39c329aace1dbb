// A routing that came from elsewhere is described as one that was generated is.

#include "epskew/workload/recorded.hpp"

#include <gtest/gtest.h>

namespace epskew {
namespace {

TEST(RecordedWorkload, HasTheBoundsThatItsGeneratorStated) {
  for (const int masked : {0, 5, 1000}) {
    WorkloadSpec spec;
    spec.num_experts = 16;
    spec.topk = 6;
    spec.tokens_per_rank = {10, 3, 0, 7};
    spec.num_masked = masked;
    spec.seed = 11;
    const Workload generated = generate(spec);

    const Workload recorded = recorded_workload(generated.table, "trace", 11);

    EXPECT_EQ(recorded.table, generated.table);
    EXPECT_EQ(recorded.feasible_max, generated.feasible_max) << masked;
    EXPECT_EQ(recorded.uniform_floor, generated.uniform_floor) << masked;
    EXPECT_EQ(recorded.distribution, "trace");
    EXPECT_EQ(recorded.seed, 11u);
  }
}

// Two ranks of two experts; the tokens have 2, 1 and 0 selections, so one rank can get all 3 of 1.5 on
// average.
TEST(RecordedWorkload, CountsWhatTokensReallySelect) {
  const RoutingTable table{4, 2, {2, 1}, {0, 3, 1, -1, -1, -1}, {0.5f, 0.5f, 1, 0, 0, 0}};

  EXPECT_EQ(recorded_workload(table, "trace", 0).feasible_max, 2.0);
}

}  // namespace
}  // namespace epskew
