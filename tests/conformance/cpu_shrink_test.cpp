// Ranks that really die or hang, and survivors that go on with right results.

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "conformance/tables.hpp"
#include "epskew/backends/registry.hpp"
#include "epskew/exchange/oracle.hpp"
#include "epskew/exchange/pressure.hpp"
#include "epskew/exchange/shrink.hpp"
#include "epskew/support/error.hpp"

namespace epskew::testing {
namespace {

using namespace std::chrono_literals;

ExchangeOptions shrinking(const std::string& dispatch = "direct", const std::string& combine = "pull") {
  ExchangeOptions options;
  options.shrink = true;
  options.timeout = 300ms;
  options.variants = {{"dispatch", dispatch}, {"combine", combine}};
  return options;
}

ShrinkResult shrink(int num_ranks, const ExchangeOptions& options, const std::vector<PlannedLoss>& losses) {
  const RoutingTable table =
      make_table({std::vector<std::int32_t>(static_cast<std::size_t>(num_ranks), 6), 4 * num_ranks, 4});
  const ExchangeShape shape = shape_of(table, 256);
  const auto world = find_backend("cpu")->make_world(shape, options);
  return run_shrink_test(*world, table, shape, options, losses, 3);
}

class OneLoss : public ::testing::TestWithParam<std::tuple<LossPoint, bool, std::string, std::string>> {};

TEST_P(OneLoss, LeavesTheOthersRight) {
  const auto& [point, stop, dispatch, combine] = GetParam();

  const ShrinkResult result = shrink(4, shrinking(dispatch, combine), {{2, 2, point, stop}});

  ASSERT_EQ(result.lost.size(), 1u);
  EXPECT_EQ(result.lost[0].rank, 2);
  EXPECT_EQ(result.lost[0].how.rfind(stop ? "was stopped" : "was killed by signal 9", 0), 0u)
      << result.lost[0].how;
  EXPECT_EQ(result.checked_operations, 3 * 5);
  if (stop) {
    EXPECT_EQ(result.lost[0].waiters, (std::vector<int>{0, 1, 3}));
  }
}

INSTANTIATE_TEST_SUITE_P(All, OneLoss,
                         ::testing::Combine(::testing::Values(LossPoint::dispatch, LossPoint::between,
                                                              LossPoint::combine),
                                            ::testing::Bool(), ::testing::Values("direct", "dedup"),
                                            ::testing::Values("pull", "push", "prereduce")));

// A rank that dies somewhere between its first counts and its last flag: what it left is a gap or complete.
class DeathOnTheWay
    : public ::testing::TestWithParam<std::tuple<std::string, std::string, CombineFormat, bool>> {};

TEST_P(DeathOnTheWay, LeavesTheOthersRight) {
  const auto& [dispatch, combine, format, stop] = GetParam();
  ExchangeOptions options = shrinking(dispatch, combine);
  options.combine = format;
  options.variants["inject_delay_us"] = "400";
  options.timeout = 500ms;
  std::set<std::string> places;
  for (const int after_us : {1, 500, 1000, 1500, 2000, 3000}) {
    const ShrinkResult result = shrink(4, options, {{3, 2, LossPoint::dispatch, stop, after_us}});

    ASSERT_EQ(result.lost.size(), 1u);
    EXPECT_EQ(result.lost[0].rank, 3);
    EXPECT_EQ(result.checked_operations, 3 * 5);
    places.insert(result.lost[0].where);
  }
  EXPECT_NE(places.count("dispatch_send of micro-batch 0"), 0u);
}

INSTANTIATE_TEST_SUITE_P(All, DeathOnTheWay,
                         ::testing::Values(std::tuple("direct", "pull", CombineFormat::bf16, false),
                                           std::tuple("direct", "pull", CombineFormat::logfmt10, false),
                                           std::tuple("direct", "push", CombineFormat::bf16, false),
                                           std::tuple("dedup", "prereduce", CombineFormat::bf16, false),
                                           std::tuple("rank_major", "pull", CombineFormat::bf16, false),
                                           std::tuple("rank_major", "prereduce", CombineFormat::bf16, false),
                                           std::tuple("direct", "pull", CombineFormat::bf16, true)));

// Rows that never came are gaps, not received rows.
TEST(Shrink, StatisticsCountWhatArrived) {
  const RoutingTable table = make_table({std::vector<std::int32_t>(4, 6), 16, 4});
  const ExchangeShape shape = shape_of(table, 256);
  ExchangeOptions options = shrinking();
  options.variants["inject_delay_us"] = "400";
  int gaps = 0;
  for (const int after_us : {500, 800, 1000, 1200, 1500, 2000, 2500}) {
    const auto world = find_backend("cpu")->make_world(shape, options);
    const auto reports = world->run([&](Exchange& exchange) {
      const int rank = exchange.local_ranks()[0];
      Oracle oracle(table, shape, options, OracleData::exact, 1);
      exchange.set_input(0, 0, oracle.input(rank));
      if (rank == 3) {
        std::thread([=] {
          std::this_thread::sleep_for(std::chrono::microseconds(after_us));
          kill(getpid(), SIGKILL);
        }).detach();
      }
      exchange.dispatch(0);
      const DispatchOutput output = exchange.dispatch_output(0, 0);
      const auto rows = exchange.statistics(0).expert_rows;
      std::string wrong;
      for (std::size_t expert = 0; expert < 4; ++expert) {
        std::int64_t arrived = 0;
        for (std::size_t source = 0; source < 4; ++source)
          arrived += output.source_range[expert * 4 + source].count;
        if (rows[expert] != arrived) wrong += "wrong ";
        if (arrived < output.expert_begin[expert + 1] - output.expert_begin[expert]) wrong += "gap ";
      }
      return wrong;
    });
    for (const std::string& report : reports) {
      EXPECT_EQ(report.find("wrong"), std::string::npos) << after_us;
      gaps += report.find("gap") != std::string::npos ? 1 : 0;
    }
  }
  EXPECT_GT(gaps, 0);
}

// The others wait for a rank that waits for the stopped one: they are all victims.
TEST(Shrink, OnlyTheCulpritIsLost) {
  ExchangeOptions options = shrinking();
  options.timeout = 200ms;
  options.variants["inject_delay_us"] = "12000";
  for (int after_us = 1000; after_us < 90'000; after_us += 6000) {
    const ShrinkResult result = shrink(4, options, {{1, 1, LossPoint::dispatch, true, after_us}});

    ASSERT_EQ(result.lost.size(), 1u) << after_us;
    EXPECT_EQ(result.lost[0].rank, 1);
  }
}

TEST(Shrink, TheDefaultPlanLosesFourOfEight) {
  const ShrinkResult result = shrink(8, shrinking(), default_losses(8));

  ASSERT_EQ(result.lost.size(), 4u);
  EXPECT_EQ(result.lost[0].rank, 1);
  EXPECT_EQ(result.lost[3].rank, 6);
  EXPECT_EQ(result.checked_operations, 4 * 10);
}

TEST(Shrink, TwoRanksLostAtOnceAndOneLeft) {
  const ShrinkResult result =
      shrink(3, shrinking(), {{0, 1, LossPoint::dispatch, true}, {1, 1, LossPoint::dispatch, false}});

  EXPECT_EQ(result.lost.size(), 2u);
  EXPECT_EQ(result.checked_operations, 4);
}

// The oracle must not be blinded by the mask.
TEST(Shrink, AWrongResultIsStillSeen) {
  const RoutingTable table = make_table({std::vector<std::int32_t>(4, 6), 16, 4});
  const RoutingTable other =
      make_table({std::vector<std::int32_t>(4, 6), 16, 4, Destinations::uniform, 0, 0, 77});
  const ExchangeShape shape = shape_of(table, 256);
  const ExchangeOptions options = shrinking();
  const auto world = find_backend("cpu")->make_world(shape, options);

  EXPECT_THROW(world->run([&](Exchange& exchange) -> std::string {
    const int rank = exchange.local_ranks()[0];
    if (rank == 3) raise(SIGKILL);
    Oracle oracle(table, shape, options, OracleData::exact, 1);
    exchange.set_input(0, 0, oracle.input(rank));
    exchange.dispatch(0);
    Oracle wrong(other, shape, options, OracleData::exact, 1);
    wrong.leave_out(exchange.lost_ranks(0, 0));
    if (const auto mismatch = wrong.check_dispatch(rank, exchange.dispatch_output(0, 0))) {
      throw WrongResult(to_string(*mismatch));
    }
    return {};
  }),
               WrongResult);
}

TEST(Shrink, PlansThatMakeNoSenseAreRefused) {
  EXPECT_THROW(shrink(2, shrinking(), {{2, 0, LossPoint::dispatch, false}}), UsageError);
  EXPECT_THROW(
      shrink(2, shrinking(), {{0, 0, LossPoint::dispatch, false}, {1, 1, LossPoint::combine, false}}),
      UsageError);
  EXPECT_THROW(shrink(2, ExchangeOptions{}, {}), UsageError);
}

RoutingTable table_for(std::uint64_t seed) {
  return make_table({std::vector<std::int32_t>(4, 6), 16, 4, Destinations::uniform, 2, 0, seed});
}

TEST(Pressure, RepeatsAgree) {
  const ExchangeOptions options;
  const auto world = find_backend("cpu")->make_world(shape_of(table_for(0), 256), options);
  std::vector<std::uint64_t> hashes;

  const PressureResult result =
      run_pressure_test(*world, options, table_for, {10, 20, 0.2},
                        [&](std::uint64_t, std::uint64_t hash) { hashes.push_back(hash); });

  EXPECT_GE(result.seeds, 1u);
  EXPECT_EQ(hashes.size(), result.seeds);
  EXPECT_EQ(result.operations, result.seeds * 22);
}

std::uint64_t pressure_hash(const char* backend, std::uint64_t seed) {
  const ExchangeOptions options;
  const auto world = find_backend(backend)->make_world(shape_of(table_for(seed), 256), options);
  std::uint64_t found = 0;
  run_pressure_test(*world, options, table_for, {seed, 2, 1e-9},
                    [&](std::uint64_t, std::uint64_t hash) { found = hash; });
  return found;
}

TEST(Pressure, HashDependsOnTheSeedAndNotOnTheBackend) {
  EXPECT_EQ(pressure_hash("cpu", 5), pressure_hash("reference", 5));
  EXPECT_NE(pressure_hash("reference", 5), pressure_hash("reference", 6));
}

}  // namespace
}  // namespace epskew::testing
