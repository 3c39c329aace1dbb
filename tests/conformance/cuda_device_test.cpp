// What only the CUDA backend has: two drivers over one kernel body, races provoked by random pauses, and
// waits that end. Needs a GPU.

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "conformance/fresh.hpp"
#include "conformance/tables.hpp"
#include "epskew/backends/registry.hpp"
#include "epskew/exchange/oracle.hpp"
#include "epskew/support/error.hpp"

namespace epskew::testing {
namespace {

using Tokens = std::vector<std::int32_t>;

class CudaDevice : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto reason = backend().unusable()) GTEST_SKIP() << *reason;
  }
  static const Backend& backend() { return *find_backend("cuda"); }

  /// `rounds` oracle passes in one world, each a split and a fused operation.
  static std::string run_rounds(const TableSpec& spec, int hidden, const ExchangeOptions& options, int rounds,
                                OracleData data) {
    const RoutingTable table = make_table(spec);
    const ExchangeShape shape = shape_of(table, hidden);
    const auto world = backend().make_world(shape, options);
    const auto reports = world->run([&](Exchange& exchange) {
      Oracle oracle(table, shape, options, data, spec.seed);
      for (int round = 0; round < rounds; ++round) {
        const auto mismatch = run_oracle(exchange, oracle);
        if (mismatch) return "round " + std::to_string(round) + ": " + to_string(*mismatch);
      }
      return std::string();
    });
    return reports.at(0);
  }
};

TEST_F(CudaDevice, BothDriversAreRightForEveryFormat) {
  const TableSpec spec{Tokens{17, 40, 0, 33}, 24, 6, Destinations::uniform, 9, 2, 11};
  for (const char* driver : {"fused", "lockstep"}) {
    for (const DispatchFormat format :
         {DispatchFormat::bf16, DispatchFormat::fp8, DispatchFormat::fp8_pow2, DispatchFormat::fp8_ue8m0}) {
      ExchangeOptions options;
      options.dispatch = format;
      options.variants["driver"] = driver;

      EXPECT_EQ(run_rounds(spec, 1920, options, 3, OracleData::random), "")
          << driver << " " << name_of(format);
    }
  }
}

TEST_F(CudaDevice, LogFmtCombineIsRightInBothDrivers) {
  const TableSpec spec{Tokens{17, 40, 0, 33}, 24, 6, Destinations::uniform, 9, 2, 11};
  for (const char* driver : {"fused", "lockstep"}) {
    for (const OracleData data : {OracleData::exact, OracleData::random}) {
      ExchangeOptions options;
      options.combine = CombineFormat::logfmt10;
      options.variants["driver"] = driver;

      EXPECT_EQ(run_rounds(spec, 1920, options, 3, data), "") << driver;
    }
  }
}

/// Sends one token a rank to one expert whose output is `values`, weight 1, combined in LogFMT-10.
std::vector<float> through_logfmt(const std::vector<float>& values) {
  RoutingTable table;
  table.num_experts = 2;
  table.topk = 1;
  table.tokens_per_rank = {1, 1};
  table.topk_idx = {1, 0};
  table.topk_weights = {1.0f, 1.0f};
  const int hidden = static_cast<int>(values.size());
  const ExchangeShape shape{2, 2, 1, hidden, 1};
  ExchangeOptions options;
  options.combine = CombineFormat::logfmt10;
  std::vector<float> result;
  find_backend("cuda")->make_world(shape, options)->run([&](Exchange& exchange) {
    const std::vector<BFloat16> x(values.size());
    const std::vector<float> weight{1.0f};
    for (int rank = 0; rank < 2; ++rank)
      exchange.set_input(rank, 0, {x, table.experts_of_rank(rank), weight});
    exchange.dispatch(0);
    for (int rank = 0; rank < 2; ++rank) {
      const std::span<BFloat16> out = exchange.expert_output(rank, 0);
      for (std::size_t i = 0; i < values.size(); ++i) out[i] = to_bfloat16(values[i]);
      exchange.commit_expert_output(rank, 0);
    }
    exchange.combine(0);
    for (const BFloat16 value : exchange.combine_output(0, 0)) result.push_back(to_float(value));
    return std::string();
  });
  return result;
}

// 128 channels on a geometric grid from 2^-9 to 2^-1: levels are 8/510 octaves apart, so a value moves by at
// most half of that (0.55 %) and bf16's rounding, and some value must move. Zero stays zero, the ends and the
// signs stay exact.
TEST_F(CudaDevice, LogFmtKeepsWithinHalfALevel) {
  std::vector<float> values(256);
  for (int i = 0; i < 128; ++i) {
    const float magnitude = to_float(to_bfloat16(std::exp2(-9.0f + 8.0f * static_cast<float>(i) / 127)));
    values[static_cast<std::size_t>(i)] = i % 3 == 0 ? -magnitude : magnitude;
  }
  values[64] = 0;
  for (std::size_t i = 128; i < 256; ++i)
    values[i] = 3.0f * static_cast<float>(i - 100);  // not below 1: travels as bf16

  const std::vector<float> out = through_logfmt(values);

  int moved = 0;
  for (std::size_t i = 0; i < 128; ++i) {
    EXPECT_LE(std::fabs(out[i] - values[i]), std::fabs(values[i]) * (0.0055f + 0x1p-8f)) << i;
    moved += out[i] != values[i];
  }
  EXPECT_GT(moved, 20);
  EXPECT_EQ(out[0], values[0]);
  EXPECT_EQ(out[64], 0.0f);
  EXPECT_EQ(out[127], values[127]);
  for (std::size_t i = 128; i < 256; ++i) EXPECT_EQ(out[i], to_float(to_bfloat16(values[i]))) << i;
}

TEST_F(CudaDevice, MeasuringWithAndWithoutAGraphLeavesTheExchangeRight) {
  const TableSpec spec{Tokens(4, 20), 16, 4};
  const RoutingTable table = make_table(spec);
  const ExchangeShape shape = shape_of(table, 512);
  for (const char* graph : {"on", "off"}) {
    ExchangeOptions options;
    options.variants["graph"] = graph;
    const auto world = backend().make_world(shape, options);
    world->run([&](Exchange& exchange) {
      Oracle oracle(table, shape, options, OracleData::exact, 4);
      std::vector<IterationSample> samples(4);
      for (int round = 0; round < 3; ++round) {
        const auto mismatch = run_oracle(exchange, oracle);
        EXPECT_FALSE(mismatch) << to_string(*mismatch);
        for (const TimingMode mode : all_timing_modes) {
          for (int i = 0; i < 3; ++i) exchange.measure(mode, samples);
        }
      }
      return std::string();
    });
  }
}

TEST_F(CudaDevice, TheDeepSeekShapeIsRight) {
  ExchangeOptions options;

  EXPECT_EQ(run_rounds({Tokens(8, 128), 256, 8}, 7168, options, 1, OracleData::exact), "");
}

TEST_F(CudaDevice, ManyTokensAndManyRanksAreRight) {
  ExchangeOptions options;

  EXPECT_EQ(run_rounds({Tokens(4, 700), 32, 5}, 512, options, 2, OracleData::exact), "");
  EXPECT_EQ(run_rounds({Tokens(64, 3), 64, 4}, 256, options, 2, OracleData::exact), "");
}

// The several-device path (arenas, streams and abort words of their own, system scope) with one GPU named
// twice.
TEST_F(CudaDevice, TwoPartsOfOneGpuAreRight) {
  ExchangeOptions options;
  options.variants = {{"devices", "0,0"}, {"driver", "lockstep"}};

  EXPECT_EQ(run_rounds({Tokens{5, 9, 2}, 9, 3}, 640, options, 3, OracleData::exact), "");
}

TEST_F(CudaDevice, TwoPartsOfOneGpuAreTimedRankByRank) {
  const RoutingTable table = make_table({Tokens{5, 9, 2}, 9, 3});
  const ExchangeShape shape = shape_of(table, 640);
  ExchangeOptions options;
  options.variants = {{"devices", "0,0"}, {"driver", "lockstep"}};
  const auto world = backend().make_world(shape, options);

  std::vector<IterationSample> samples(3);
  std::string mismatch;
  world->run([&](Exchange& exchange) {
    Oracle oracle(table, shape, options, OracleData::exact, 1);
    if (const auto before = run_oracle(exchange, oracle)) mismatch += to_string(*before);
    exchange.measure(TimingMode::split, samples);
    if (const auto after = run_oracle(exchange, oracle)) mismatch += to_string(*after);
    return std::string();
  });

  EXPECT_EQ(mismatch, "");
  for (const IterationSample& sample : samples) {
    for (const Phase phase :
         {Phase::dispatch_send, Phase::dispatch_recv, Phase::combine_send, Phase::combine_recv})
      EXPECT_GT(sample.us[static_cast<std::size_t>(phase)], 0.0);
  }
}

// Pauses before publishing, signalling and reading shift the ranks against each other by more than an
// operation lasts; every operation has its own routing and data. EPSKEW_STRESS_ROUNDS sets half of how many.
TEST_F(CudaDevice, RandomPausesChangeNothing) {
  const char* asked = std::getenv("EPSKEW_STRESS_ROUNDS");
  const int rounds = asked != nullptr ? std::atoi(asked) : 100;
  ExchangeOptions options;
  options.variants = {{"driver", "fused"}, {"delay_ns", "20000"}};

  FreshPlan plan;
  plan.num_ranks = 8;
  plan.operations = 2 * rounds;
  const auto world = backend().make_world(shape_of(plan), options);

  const auto reports = world->run([&](Exchange& exchange) { return run_fresh_operations(exchange, plan); });

  EXPECT_EQ(reports, (std::vector<std::string>{""}));
}

TEST_F(CudaDevice, AWaitThatCannotEndNamesWhoWaitedForWhom) {
  const RoutingTable table = make_table({Tokens(2, 4), 8, 2});
  const ExchangeShape shape = shape_of(table, 256);
  ExchangeOptions options;
  options.timeout = std::chrono::milliseconds(50);
  options.variants["driver"] = "lockstep";
  const auto world = backend().make_world(shape, options);

  std::string message;
  world->run([&](Exchange& exchange) {
    Oracle oracle(table, shape, options, OracleData::exact, 1);
    for (int rank = 0; rank < 2; ++rank) exchange.set_input(rank, 0, oracle.input(rank));
    exchange.dispatch_send(0);
    exchange.dispatch_recv(0);
    try {
      exchange.combine_recv(0);  // nobody has sent
    } catch (const RankLost& lost) {
      message = lost.what();
    }
    return std::string();
  });

  EXPECT_EQ(message, "combine_recv: rank 0 waited 0.1 s for the expert outputs of rank 1");
}

// A failed wait must not poison the process: the next world works.
TEST_F(CudaDevice, TheNextWorldWorksAfterALostRank) {
  const RoutingTable table = make_table({Tokens(2, 4), 8, 2});
  const ExchangeShape shape = shape_of(table, 256);
  ExchangeOptions options;
  options.timeout = std::chrono::milliseconds(20);
  const auto world = backend().make_world(shape, options);
  EXPECT_THROW(world->run([&](Exchange& exchange) {
    Oracle oracle(table, shape, options, OracleData::exact, 1);
    for (int rank = 0; rank < 2; ++rank) exchange.set_input(rank, 0, oracle.input(rank));
    exchange.dispatch(0);
    exchange.combine_recv(0);
    return std::string();
  }),
               RankLost);

  EXPECT_EQ(run_rounds({Tokens(2, 4), 8, 2}, 256, {}, 1, OracleData::exact), "");
}

TEST_F(CudaDevice, RefusesWrongInput) {
  const RoutingTable table = make_table({Tokens(2, 4), 8, 2});
  const ExchangeShape shape = shape_of(table, 256);
  const auto world = backend().make_world(shape, {});

  world->run([&](Exchange& exchange) {
    const std::vector<BFloat16> x(4 * 256);
    const std::vector<float> weights(8);
    const std::vector<std::int32_t> no_such_expert(8, 8);
    const std::vector<std::int32_t> experts(8, 0);
    EXPECT_THROW(exchange.set_input(0, 0, {x, no_such_expert, weights}), UsageError);
    EXPECT_THROW(exchange.set_input(0, 0, {std::span(x).first(256), experts, weights}), UsageError);
    return std::string();
  });
}

}  // namespace
}  // namespace epskew::testing
