#include "epskew/report/compare.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "epskew/support/error.hpp"
#include "unit/report/sample_record.hpp"

namespace epskew {
namespace {

constexpr auto whole = static_cast<std::size_t>(Phase::dispatch_combine);

/// `count` iterations of two ranks: rank 0 takes 1 µs, rank 1 takes `base` to `base + step · 9`, ten values
/// in turn.
SampleMatrix samples(int count, double base, double step) {
  SampleMatrix out{2, {}};
  for (int i = 0; i < count; ++i) out.us.insert(out.us.end(), {1.0, base + step * (i % 10)});
  return out;
}

/// One round, dispatch_combine only.
NamedRecord run(const char* name, int count, double base, double step) {
  NamedRecord result{name, test::sample_record()};
  RoundRecord round = result.record.rounds[2];
  round.timing = {};
  round.timing[whole] = PhaseRecord{};
  round.timing[whole]->samples_us = samples(count, base, step);
  result.record.rounds = {round};
  return result;
}

CompareOptions only_pair() {
  CompareOptions options;
  options.phases = {Phase::dispatch_combine};
  return options;
}

std::string problem_of(const NamedRecord& a, const NamedRecord& b, const CompareOptions& options) {
  try {
    compare(a, b, options);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "compared";
}

TEST(Compare, DividesTheMediansOfTheSlowestRank) {
  // The slowest rank is rank 1. Medians of 200 values 100..109 and 150..159: 104.5 and 154.5.
  const Comparison comparison = compare(run("a", 200, 100, 1), run("b", 200, 150, 1), only_pair());

  ASSERT_EQ(comparison.phases.size(), 1u);
  const ComparedPhase& row = comparison.phases[0];
  EXPECT_EQ(row.p50.a_us, 104.5);
  EXPECT_EQ(row.p50.b_us, 154.5);
  EXPECT_DOUBLE_EQ(row.p50.ratio->ratio, 154.5 / 104.5);
  EXPECT_DOUBLE_EQ(row.p99.ratio->ratio, 159.0 / 109.0);
  EXPECT_EQ(row.p50.reading(), Reading::slower);
}

TEST(Compare, ConstantTimesHaveAnIntervalWithoutWidth) {
  const Comparison comparison = compare(run("a", 200, 100, 0), run("b", 200, 80, 0), only_pair());

  const RatioInterval interval = *comparison.phases.at(0).p50.ratio;
  EXPECT_EQ(interval.ratio, 0.8);
  EXPECT_EQ(interval.low, 0.8);
  EXPECT_EQ(interval.high, 0.8);
  EXPECT_EQ(comparison.phases[0].p50.reading(), Reading::faster);
}

TEST(Compare, SeesNoDifferenceBetweenARunAndItself) {
  const Comparison comparison = compare(run("a", 200, 100, 1), run("b", 200, 100, 1), only_pair());

  EXPECT_EQ(comparison.phases.at(0).p50.reading(), Reading::no_difference);
  EXPECT_EQ(comparison.phases.at(0).p50.ratio->ratio, 1.0);
  EXPECT_TRUE(comparison.differences.empty());
}

TEST(Compare, SaysWhereSamplesAreTooFew) {
  // p99 needs 200 samples.
  const Comparison comparison = compare(run("a", 199, 100, 1), run("b", 200, 100, 1), only_pair());

  EXPECT_EQ(comparison.phases.at(0).p50.reading(), Reading::no_difference);
  EXPECT_EQ(comparison.phases.at(0).p99.reading(), Reading::too_few_samples);
  EXPECT_NE(comparison_table(comparison).find("too few samples"), std::string::npos);
}

TEST(Compare, FailsOnlyWhereTheWholeIntervalIsAboveTheLimit) {
  const NamedRecord a = run("a", 200, 100, 0);
  CompareOptions options = only_pair();

  options.fail_above = 1.05;
  EXPECT_EQ(compare(a, run("b", 200, 106, 0), options).failures().size(), 1u);
  EXPECT_TRUE(compare(a, run("b", 200, 105, 0), options).failures().empty());
  // Ten values 90..135 around the median 112.5: the ratio 1.125 is above 1.05, its interval is not.
  const Comparison noisy = compare(a, run("b", 20, 90, 5), options);
  EXPECT_GT(noisy.phases.at(0).p50.ratio->ratio, 1.05);
  EXPECT_TRUE(noisy.failures().empty());
}

TEST(Compare, RefusesOtherRoutingUnlessTold) {
  const NamedRecord a = run("a", 200, 100, 1);
  NamedRecord b = run("b", 200, 100, 1);
  b.record.rounds[0].workload.digest = "ffffffffffffffffffffffffffffffff";
  CompareOptions options = only_pair();

  EXPECT_NE(problem_of(a, b, options).find("round 1.5 is routed differently"), std::string::npos);
  options.allow_different_routing = true;
  EXPECT_FALSE(compare(a, b, options).phases.at(0).same_routing);
  EXPECT_NE(comparison_table(compare(a, b, options)).find("(other routing)"), std::string::npos);
}

TEST(Compare, RefusesOtherShapesUnlessTold) {
  const NamedRecord a = run("a", 200, 100, 1);
  NamedRecord b = run("b", 200, 100, 1);
  b.record.config.hidden = 256;
  CompareOptions options = only_pair();

  EXPECT_NE(problem_of(a, b, options).find("differ in shape (hidden 128 against 256)"), std::string::npos);
  options.allow_different_routing = true;
  EXPECT_EQ(compare(a, b, options).differences, std::vector<std::string>{"hidden 128 against 256"});
}

TEST(Compare, TellsWhatTheRunsDifferIn) {
  NamedRecord b = run("b", 200, 100, 1);
  b.record.config.backend = "mpi";
  b.record.config.variants["dispatch"] = "dedup";

  EXPECT_EQ(compare(run("a", 200, 100, 1), b, only_pair()).differences,
            (std::vector<std::string>{"backend cpu against mpi", "variant dispatch direct against dedup"}));
}

TEST(Compare, TellsOfEverySettingAndMachineThatDiffers) {
  NamedRecord a = run("a", 200, 100, 1);
  NamedRecord b = run("b", 200, 100, 1);
  a.record.config.variants = {{"combine", "push"}};
  b.record.config.variants = {{"pages", "small"}};
  b.record.config.passes = 4;
  b.record.config.warmup = 9;
  b.record.config.num_masked = 3;
  b.record.config.clock.source = "events";
  a.record.config.backend_facts = {"MPI: 4.1", "exchange: rma, chosen by its second operation (rma 12 us)"};
  b.record.config.backend_facts = {"MPI: 4.1", "exchange: node, chosen by its second operation (rma 15 us)"};
  a.record.driver = "550";
  b.record.build.commit = "abc";
  b.record.build.flags = "-O3";
  b.record.emulation = std::nullopt;

  EXPECT_EQ(compare(a, b, only_pair()).differences,
            (std::vector<std::string>{
                "variant combine push against none", "variant pages none against small",
                "masked entries a rank 0 against 3", "passes 1 against 4", "warm-up 1 against 9",
                "clock steady_clock against events", "GPU driver 550 against unknown",
                "emulation of 2 ranks on 1 GPUs against none", "backend fact exchange rma against node",
                "commit unknown against abc", "compiler flags -O2 against -O3"}));
}

TEST(Compare, WarnsOfWhatTheIntervalsDoNotHold) {
  NamedRecord a = run("a", 200, 100, 1);
  NamedRecord b = run("b", 200, 100, 1);
  b.record.config.passes = 4;
  CompareOptions options = only_pair();
  options.fail_above = 1.02;

  const Comparison comparison = compare(a, b, options);

  ASSERT_EQ(comparison.warnings.size(), 2u);
  EXPECT_EQ(comparison.warnings[0].find("a was measured in one pass"), 0u) << comparison.warnings[0];
  EXPECT_EQ(comparison.warnings[1].find("--fail-above 1.02 is below 1.05"), 0u) << comparison.warnings[1];
  EXPECT_NE(comparison_table(comparison).find("warning: a was measured in one pass"), std::string::npos);
}

TEST(Compare, AGateRefusesWhatTheOracleDidNotSee) {
  const NamedRecord a = run("a", 200, 100, 1);
  NamedRecord unseen = run("b", 200, 100, 1);
  unseen.record.rounds[0].oracle.after = std::nullopt;
  CompareOptions options = only_pair();

  EXPECT_NE(comparison_table(compare(a, unseen, options)).find("b: round 1.5 was not checked by the oracle"),
            std::string::npos);
  options.fail_above = 1.05;
  EXPECT_NE(problem_of(a, unseen, options).find("round 1.5 was not checked by the oracle"),
            std::string::npos);
}

TEST(Compare, TheTableFitsATerminal) {
  NamedRecord a = run("a", 200, 1234567.8, 1000);
  a.record.rounds[0].label = "layer 26 window 100";
  NamedRecord b = a;
  b.record.rounds[0].workload.digest = "another routing";
  CompareOptions options = only_pair();
  options.allow_different_routing = true;

  const std::string table = comparison_table(compare(a, b, options));

  std::size_t widest = 0;
  for (std::size_t begin = 0; begin < table.size();) {
    const std::size_t end = table.find('\n', begin);
    if (table.compare(begin, 7, "warning") != 0) widest = std::max(widest, end - begin);
    begin = end + 1;
  }
  EXPECT_LE(widest, 100u);
}

TEST(Compare, PutsWhatHasNoCounterpartIntoWords) {
  NamedRecord a = run("a", 200, 100, 1);
  NamedRecord b = run("b", 200, 100, 1);
  b.record.rounds.push_back(b.record.rounds[0]);
  b.record.rounds[1].label = "4.0";
  CompareOptions options;
  options.phases = {Phase::dispatch_combine, Phase::combine};

  EXPECT_EQ(compare(a, b, options).left_out,
            (std::vector<std::string>{"round 1.5, combine: not measured in a", "round 4.0: only in b"}));
}

// A gate must not pass because B measured less than A.
TEST(Compare, AGateRefusesWhatItCannotJudge) {
  const NamedRecord a = run("a", 200, 100, 1);
  NamedRecord renamed = run("b", 200, 100, 1);
  renamed.record.rounds[0].label = "2.0";
  CompareOptions options = only_pair();
  options.fail_above = 1.05;

  EXPECT_NE(problem_of(a, renamed, options).find("cannot judge every round (round 1.5: only in a)"),
            std::string::npos);
  EXPECT_NE(problem_of(a, run("b", 4, 100, 1), options).find("too few samples"), std::string::npos);
  options.fail_above = 0.5;
  EXPECT_NE(problem_of(a, a, options).find("--fail-above 0.5 is not a limit"), std::string::npos);
}

TEST(Compare, RefusesWhereNothingIsCommon) {
  NamedRecord renamed = run("b", 200, 100, 1);
  renamed.record.rounds[0].label = "2.0";

  EXPECT_NE(problem_of(run("a", 200, 100, 1), renamed, only_pair()).find("no round and phase in common"),
            std::string::npos);
}

TEST(Compare, RefusesAWrongResult) {
  NamedRecord b = run("b", 200, 100, 1);
  b.record.rounds[0].oracle.after = "rank 0 token 1 differs";

  EXPECT_NE(problem_of(run("a", 200, 100, 1), b, only_pair()).find("rank 0 token 1 differs"),
            std::string::npos);
}

TEST(CompareJson, CarriesTheNumbersOfTheTable) {
  CompareOptions options = only_pair();
  options.fail_above = 1.05;

  const auto file =
      nlohmann::json::parse(to_json(compare(run("a", 199, 100, 0), run("b", 200, 120, 0), options)));

  EXPECT_EQ(file.at("failed"), true);
  EXPECT_EQ(file.at("fail_above"), 1.05);
  const auto& row = file.at("phases").at(0);
  EXPECT_EQ(row.at("round"), "1.5");
  EXPECT_EQ(row.at("phase"), "dispatch_combine");
  EXPECT_EQ(row.at("p50").at("ratio"), 1.2);
  EXPECT_EQ(row.at("p50").at("reading"), "B slower");
  EXPECT_TRUE(row.at("p99").at("ratio").is_null());
}

}  // namespace
}  // namespace epskew
