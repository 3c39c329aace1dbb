// What every backend must deliver, for every format, on routings that are ordinary, skewed and degenerate.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "conformance/backend_under_test.hpp"
#include "conformance/fresh.hpp"
#include "conformance/tables.hpp"
#include "epskew/exchange/oracle.hpp"
#include "epskew/support/error.hpp"

namespace epskew::testing {
namespace {

using Tokens = std::vector<std::int32_t>;

struct Scenario {
  std::string name;
  TableSpec table;
  int hidden = 256;
};

std::vector<Scenario> scenarios() {
  return {
      {"OneRank", {Tokens{9}, 8, 3}},
      {"TwoRanks", {Tokens{7, 7}, 8, 2}},
      {"ThreeRanks", {Tokens{5, 8, 3}, 9, 4}},
      {"FourRanks", {Tokens(4, 16), 16, 8}},
      {"FiveRanks", {Tokens{4, 9, 1, 6, 7}, 20, 6}},
      {"EightRanks", {Tokens(8, 12), 32, 8}},
      {"UnevenTokens", {Tokens{1, 30, 2, 17}, 16, 4}},
      {"EmptyRank", {Tokens{6, 0, 6, 6}, 16, 4}},
      {"OnlyOneRankHasTokens", {Tokens{0, 0, 11, 0}, 8, 2}},
      {"ZeroTokens", {Tokens(4, 0), 8, 2}},
      {"AllToOne", {Tokens(4, 10), 32, 8, Destinations::all_to_one}},
      {"TopOne", {Tokens(4, 13), 16, 1}},
      {"ExpertsAreRanks", {Tokens(8, 6), 8, 3}},
      {"EveryExpert", {Tokens(2, 5), 8, 8}},
      {"TopSixteen", {Tokens(2, 5), 64, 16}},
      {"MaskedEntries", {Tokens(4, 12), 16, 4, Destinations::uniform, 40}},
      {"MaskedTokens", {Tokens(3, 8), 9, 3, Destinations::uniform, 5, 12}},
      {"SmallestHidden", {Tokens(2, 4), 8, 2}, 128},
      {"OddHidden", {Tokens(3, 6), 9, 3}, 1408},
      {"LargestHidden", {Tokens(2, 2), 8, 4}, 16384},
  };
}

/// A backend that keeps no figures may give none (ReceiveStatistics); these keep them.
bool must_count_rows() {
  const std::string_view name = backend_under_test().name();
  return name == "reference" || name == "cpu";
}

ExchangeOptions options_under_test() {
  ExchangeOptions options;
  options.variants = variants_under_test();
  return options;
}

class Conformance : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto reason = backend_under_test().unusable()) GTEST_SKIP() << *reason;
  }

  /// One world, one oracle pass over all its ranks; every rank must have nothing to report.
  static void expect_right(const Scenario& scenario, const ExchangeOptions& options, OracleData data) {
    const RoutingTable table = make_table(scenario.table);
    const ExchangeShape shape = shape_of(table, scenario.hidden);
    if (const auto reason = unfit(shape)) GTEST_SKIP() << *reason;
    const auto world = backend_under_test().make_world(shape, options);

    const auto reports = world->run([&](Exchange& exchange) {
      Oracle oracle(table, shape, options, data, 42);
      const auto mismatch = run_oracle(exchange, oracle);
      return mismatch ? to_string(*mismatch) : std::string();
    });

    if (world->is_root()) {
      ASSERT_FALSE(reports.empty());
    }
    for (const std::string& report : reports) EXPECT_EQ(report, "") << scenario.name;
  }
};

class Scenarios : public Conformance,
                  public ::testing::WithParamInterface<std::tuple<Scenario, DispatchFormat>> {};

TEST_P(Scenarios, ExactData) {
  const auto& [scenario, format] = GetParam();
  ExchangeOptions options = options_under_test();
  options.dispatch = format;

  expect_right(scenario, options, OracleData::exact);
}

TEST_P(Scenarios, RandomData) {
  const auto& [scenario, format] = GetParam();
  ExchangeOptions options = options_under_test();
  options.dispatch = format;

  expect_right(scenario, options, OracleData::random);
}

INSTANTIATE_TEST_SUITE_P(All, Scenarios,
                         ::testing::Combine(::testing::ValuesIn(scenarios()),
                                            ::testing::Values(DispatchFormat::bf16, DispatchFormat::fp8,
                                                              DispatchFormat::fp8_pow2,
                                                              DispatchFormat::fp8_ue8m0)),
                         [](const auto& test) {
                           return std::get<0>(test.param).name + "_" +
                                  std::string(name_of(std::get<1>(test.param)));
                         });

class Logfmt : public Conformance, public ::testing::WithParamInterface<Scenario> {};

TEST_P(Logfmt, CombinesWithinItsTolerance) {
  ExchangeOptions options = options_under_test();
  options.combine = CombineFormat::logfmt10;
  for (const DispatchFormat format : {DispatchFormat::bf16, DispatchFormat::fp8}) {
    options.dispatch = format;
    for (const OracleData data : {OracleData::exact, OracleData::random}) {
      try {
        expect_right(GetParam(), options, data);
      } catch (const UsageError& refused) {
        GTEST_SKIP() << refused.what();
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Logfmt, ::testing::ValuesIn(scenarios()),
                         [](const auto& test) { return test.param.name; });

/// Half of 160 results come back to every rank from another half of the ranks: more bytes than a backend that
/// returns them in parts has under way at a time. The tokens, 20 of 16 KiB, do not fit one message of its
/// either.
TEST_F(Conformance, ManyResultsComeBackAsTheyLeft) {
  const Scenario scenario{"ManyResults", {Tokens(4, 20), 16, 8}, 16384};
  ExchangeOptions options = options_under_test();
  options.dispatch = DispatchFormat::fp8;

  expect_right(scenario, options, OracleData::random);
}

TEST_F(Conformance, ManyCodedResultsComeBackAsTheyLeft) {
  const Scenario scenario{"ManyCodedResults", {Tokens(4, 32), 16, 8}, 16384};
  ExchangeOptions options = options_under_test();
  options.combine = CombineFormat::logfmt10;

  try {
    expect_right(scenario, options, OracleData::random);
  } catch (const UsageError& refused) {
    GTEST_SKIP() << refused.what();
  }
}

class FreshOperations : public Conformance, public ::testing::WithParamInterface<std::tuple<int, int>> {};

TEST_P(FreshOperations, AreRight) {
  FreshPlan plan;
  plan.num_ranks = std::get<0>(GetParam());
  ExchangeOptions options = options_under_test();
  options.micro_batches = std::get<1>(GetParam());
  if (const auto reason = unfit(shape_of(plan))) GTEST_SKIP() << *reason;
  const auto world = backend_under_test().make_world(shape_of(plan), options);

  const auto reports = world->run([&](Exchange& exchange) { return run_fresh_operations(exchange, plan); });

  if (world->is_root()) {
    ASSERT_FALSE(reports.empty());
  }
  for (const std::string& report : reports) EXPECT_EQ(report, "");
}

INSTANTIATE_TEST_SUITE_P(RanksAndMicroBatches, FreshOperations,
                         ::testing::Combine(::testing::Values(1, 2, 3, 4, 5, 8), ::testing::Values(1, 2)));

TEST_F(Conformance, StatisticsCountEveryDispatch) {
  const RoutingTable table = make_table({Tokens{5, 0, 9, 2}, 16, 4, Destinations::uniform, 3});
  const ExchangeShape shape = shape_of(table, 256);
  const ExchangeOptions options = options_under_test();
  if (const auto reason = unfit(shape)) GTEST_SKIP() << *reason;
  const auto world = backend_under_test().make_world(shape, options);

  const auto reports = world->run([&](Exchange& exchange) {
    Oracle oracle(table, shape, options, OracleData::exact, 3);
    for (int pass = 0; pass < 2; ++pass) run_oracle(exchange, oracle);  // two dispatches each
    std::string wrong;
    for (int local = 0; local < static_cast<int>(exchange.local_ranks().size()); ++local) {
      const ReceiveStatistics statistics = exchange.statistics(local);
      const std::size_t counted = statistics.expert_rows.size();
      if (counted != 4 && (counted != 0 || must_count_rows())) wrong += fmt::format("{} counts; ", counted);
      const int first = exchange.local_ranks()[static_cast<std::size_t>(local)] * shape.experts_per_rank();
      for (std::size_t expert = 0; expert < statistics.expert_rows.size(); ++expert) {
        const auto count =
            std::count(table.topk_idx.begin(), table.topk_idx.end(), first + static_cast<int>(expert));
        if (statistics.expert_rows[expert] != 4 * count) {
          wrong += fmt::format("expert {}: {} of {}; ", expert, statistics.expert_rows[expert], 4 * count);
        }
      }
      for (const auto waits : {statistics.dispatch_wait_us, statistics.combine_wait_us}) {
        if (!waits.empty() && waits.size() != 4) wrong += "waits; ";
        for (const double us : waits) {
          if (!(us > 0)) wrong += fmt::format("wait {}; ", us);
        }
      }
    }
    return wrong;
  });

  for (const std::string& report : reports) EXPECT_EQ(report, "");
}

TEST_F(Conformance, TwoMicroBatchesInFlight) {
  ExchangeOptions options = options_under_test();
  options.micro_batches = 2;

  expect_right({"TwoMicroBatches", {Tokens(4, 9), 16, 4}}, options, OracleData::exact);
}

// Two micro-batches with routings of their own; a buffer shared by mistake would mix them up.
TEST_F(Conformance, MicroBatchesKeepApart) {
  const RoutingTable even = make_table({Tokens{4, 9, 7}, 9, 3, Destinations::uniform, 3, 0, 5});
  const RoutingTable odd = make_table({Tokens{9, 2, 8}, 9, 3, Destinations::uniform, 0, 1, 6});
  ExchangeShape shape = shape_of(even, 384);
  ExchangeOptions options = options_under_test();
  options.micro_batches = 2;
  if (const auto reason = unfit(shape)) GTEST_SKIP() << *reason;
  const auto world = backend_under_test().make_world(shape, options);

  const auto reports = world->run([&](Exchange& exchange) {
    Oracle oracles[] = {Oracle(even, shape, options, OracleData::exact, 1),
                        Oracle(odd, shape, options, OracleData::exact, 2)};
    const auto ranks = exchange.local_ranks();
    std::string report;
    const auto note = [&](const std::optional<Mismatch>& mismatch) {
      if (mismatch && report.empty()) report = to_string(*mismatch);
    };
    const auto for_each_local = [&](auto&& step) {
      for (int local = 0; local < static_cast<int>(ranks.size()); ++local) {
        step(local, ranks[static_cast<std::size_t>(local)]);
      }
    };
    for (int operation = 0; operation < 5; ++operation) {
      for (int batch = 0; batch < 2; ++batch) {
        for_each_local(
            [&](int local, int rank) { exchange.set_input(local, batch, oracles[batch].input(rank)); });
        exchange.dispatch_send(batch);
      }
      for (const int batch : {1, 0}) {
        exchange.dispatch_recv(batch);
        for_each_local([&](int local, int rank) {
          const DispatchOutput output = exchange.dispatch_output(local, batch);
          note(oracles[batch].check_dispatch(rank, output));
          oracles[batch].apply_experts(rank, output, exchange.expert_output(local, batch));
          exchange.commit_expert_output(local, batch);
        });
        exchange.combine_send(batch);
      }
      for (int batch = 0; batch < 2; ++batch) {
        exchange.combine_recv(batch);
        for_each_local([&](int local, int rank) {
          note(oracles[batch].check_combine(rank, exchange.combine_output(local, batch)));
        });
      }
    }
    return report;
  });

  for (const std::string& report : reports) EXPECT_EQ(report, "");
}

// A world serves one round after the other; nothing of an earlier routing may show.
TEST_F(Conformance, OneWorldManyRuns) {
  ExchangeOptions options = options_under_test();
  const Scenario first{"First", {Tokens{8, 3, 5, 8}, 16, 4, Destinations::uniform, 0, 0, 7}};
  const Scenario second{"Second", {Tokens{1, 8, 8, 0}, 16, 4, Destinations::all_to_one, 0, 0, 8}};
  const RoutingTable tables[] = {make_table(first.table), make_table(second.table)};
  const ExchangeShape shape = shape_of(tables[0], 256);
  if (const auto reason = unfit(shape)) GTEST_SKIP() << *reason;
  const auto world = backend_under_test().make_world(shape, options);

  for (int run = 0; run < 4; ++run) {
    const RoutingTable& table = tables[run % 2];
    const auto reports = world->run([&](Exchange& exchange) {
      Oracle oracle(table, shape, options, OracleData::exact, static_cast<std::uint64_t>(run));
      const auto mismatch = run_oracle(exchange, oracle);
      return mismatch ? to_string(*mismatch) : std::string();
    });
    for (const std::string& report : reports) EXPECT_EQ(report, "") << "run " << run;
  }
}

TEST_F(Conformance, MeasureFillsExactlyThePhasesOfItsMode) {
  const RoutingTable table = make_table({Tokens(4, 6), 16, 4});
  const ExchangeShape shape = shape_of(table, 256);
  const ExchangeOptions options = options_under_test();
  if (const auto reason = unfit(shape)) GTEST_SKIP() << *reason;
  const auto world = backend_under_test().make_world(shape, options);

  const auto reports = world->run([&](Exchange& exchange) {
    Oracle oracle(table, shape, options, OracleData::exact, 3);
    const auto mismatch = run_oracle(exchange, oracle);
    if (mismatch) return to_string(*mismatch);
    std::string wrong;
    for (const TimingMode mode : all_timing_modes) {
      std::vector<IterationSample> samples(exchange.local_ranks().size());
      exchange.measure(mode, samples);
      const auto measured = phases_of(mode);
      for (const IterationSample& sample : samples) {
        for (const Phase phase : all_phases()) {
          const bool expected = std::find(measured.begin(), measured.end(), phase) != measured.end();
          const double us = sample.us[static_cast<std::size_t>(phase)];
          if ((us > 0) != expected) wrong += fmt::format("{} {}; ", name_of(phase), us);
        }
        if (!(sample.misalignment_us >= 0)) wrong += fmt::format("misalignment {}; ", sample.misalignment_us);
      }
    }
    return wrong;
  });

  for (const std::string& report : reports) EXPECT_EQ(report, "");
}

TEST_F(Conformance, MemoryIsReported) {
  const RoutingTable table = make_table({Tokens(4, 6), 16, 4});
  const ExchangeShape shape = shape_of(table, 256);
  const ExchangeOptions options = options_under_test();
  if (const auto reason = unfit(shape)) GTEST_SKIP() << *reason;
  const auto world = backend_under_test().make_world(shape, options);

  const auto reports = world->run([&](Exchange& exchange) {
    Oracle oracle(table, shape, options, OracleData::exact, 3);
    run_oracle(exchange, oracle);
    std::string wrong;
    for (int local = 0; local < static_cast<int>(exchange.local_ranks().size()); ++local) {
      const MemoryUse use = exchange.memory(local);
      if (use.touched <= 0 || use.touched > use.reserved)
        wrong += fmt::format("{} of {}; ", use.touched, use.reserved);
    }
    return wrong;
  });

  for (const std::string& report : reports) EXPECT_EQ(report, "");
}

TEST_F(Conformance, RefusesAnUnknownVariant) {
  const ExchangeShape shape = shape_of(make_table({Tokens(2, 2), 8, 2}), 128);
  ExchangeOptions options = options_under_test();
  options.variants["no-such-variant"] = "1";

  EXPECT_THROW(backend_under_test().make_world(shape, options), UsageError);
}

}  // namespace
}  // namespace epskew::testing
