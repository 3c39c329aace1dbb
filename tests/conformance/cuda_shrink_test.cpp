// Ranks of the CUDA backend that stop answering, and survivors that go on with right results. All ranks live
// in one process here, so a rank is stopped by Exchange::stop_rank; the rest is the test of the CPU backend.
// Needs a GPU.

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <tuple>
#include <vector>

#include "conformance/tables.hpp"
#include "epskew/backends/registry.hpp"
#include "epskew/exchange/oracle.hpp"
#include "epskew/exchange/shrink.hpp"
#include "epskew/support/error.hpp"

namespace epskew::testing {
namespace {

using namespace std::chrono_literals;
using Variants = std::map<std::string, std::string>;

ExchangeOptions shrinking(const Variants& variants) {
  ExchangeOptions options;
  options.shrink = true;
  options.timeout = 50ms;
  options.variants = variants;
  return options;
}

ShrinkResult shrink(int num_ranks, const ExchangeOptions& options, const std::vector<PlannedLoss>& losses) {
  const RoutingTable table =
      make_table({std::vector<std::int32_t>(static_cast<std::size_t>(num_ranks), 6), 4 * num_ranks, 4});
  const ExchangeShape shape = shape_of(table, 256);
  const auto world = find_backend("cuda")->make_world(shape, options);
  return run_shrink_test(*world, table, shape, options, losses, 3);
}

class CudaLoss
    : public ::testing::TestWithParam<std::tuple<LossPoint, std::string, std::string, std::string>> {
 protected:
  void SetUp() override {
    if (const auto reason = find_backend("cuda")->unusable()) GTEST_SKIP() << *reason;
  }
};

TEST_P(CudaLoss, LeavesTheOthersRight) {
  const auto& [point, dispatch, combine, driver] = GetParam();

  const ShrinkResult result =
      shrink(4, shrinking({{"dispatch", dispatch}, {"combine", combine}, {"driver", driver}}),
             {{2, 2, point, false}});

  ASSERT_EQ(result.lost.size(), 1u);
  EXPECT_EQ(result.lost[0].rank, 2);
  EXPECT_EQ(result.lost[0].how, "did not answer within 0.1 s");
  const std::string phase = point == LossPoint::between ? "combine_recv" : "dispatch";
  EXPECT_EQ(result.lost[0].where.rfind(phase, 0), 0u) << result.lost[0].where;
  ASSERT_EQ(result.lost[0].waiters.size(), 1u);
  EXPECT_NE(result.lost[0].waiters[0], 2);
  EXPECT_EQ(result.checked_operations, 3 * 5);
}

INSTANTIATE_TEST_SUITE_P(
    All, CudaLoss,
    ::testing::Combine(::testing::Values(LossPoint::dispatch, LossPoint::between, LossPoint::combine),
                       ::testing::Values("direct", "dedup"), ::testing::Values("pull", "push", "prereduce"),
                       ::testing::Values("auto", "fused", "lockstep")));

class CudaShrink : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto reason = find_backend("cuda")->unusable()) GTEST_SKIP() << *reason;
  }
};

TEST_F(CudaShrink, TheDefaultPlanLosesFourOfEight) {
  const ShrinkResult result = shrink(8, shrinking({}), default_losses(8));

  ASSERT_EQ(result.lost.size(), 4u);
  EXPECT_EQ(result.lost[0].rank, 1);
  EXPECT_EQ(result.lost[3].rank, 6);
}

TEST_F(CudaShrink, TwoRanksLostAtOnceAndOneLeft) {
  const ShrinkResult result =
      shrink(3, shrinking({}), {{0, 1, LossPoint::dispatch, true}, {1, 1, LossPoint::dispatch, false}});

  EXPECT_EQ(result.lost.size(), 2u);
  EXPECT_EQ(result.checked_operations, 4);
}

// Without leave to go on, the round ends and names who waited for whom, and in which phase.
TEST_F(CudaShrink, WithoutShrinkTheRoundNamesWhoWaitedForWhom) {
  const RoutingTable table = make_table({std::vector<std::int32_t>(2, 6), 8, 2});
  const ExchangeShape shape = shape_of(table, 256);
  ExchangeOptions options = shrinking({{"driver", "lockstep"}});
  options.shrink = false;
  const auto world = find_backend("cuda")->make_world(shape, options);
  std::string message;

  world->run([&](Exchange& exchange) {
    Oracle oracle(table, shape, options, OracleData::exact, 1);
    for (int rank = 0; rank < 2; ++rank) exchange.set_input(rank, 0, oracle.input(rank));
    exchange.stop_rank(1);
    try {
      exchange.dispatch(0);
    } catch (const RankLost& lost) {
      message = lost.what();
    }
    return std::string();
  });

  EXPECT_EQ(message, "dispatch_send: rank 0 waited 0.1 s for the counts of rank 1");
}

}  // namespace
}  // namespace epskew::testing
