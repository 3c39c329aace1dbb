#include "measure/rank_report.hpp"

#include <gtest/gtest.h>

#include "epskew/support/error.hpp"

namespace epskew {
namespace {

constexpr std::size_t pair = 0, fused = 1, split = 2;  // positions in all_timing_modes

IterationSample sample(Phase phase, double us, double misalignment = 0) {
  IterationSample made;
  made.us[static_cast<std::size_t>(phase)] = us;
  made.misalignment_us = misalignment;
  return made;
}

RankReport report_of(std::vector<int> ranks) {
  RankReport report;
  report.ranks = std::move(ranks);
  report.memory.resize(report.ranks.size());
  return report;
}

TEST(RankReport, SurvivesTheJourney) {
  RankReport sent = report_of({3});
  sent.flush_bytes = 77;
  sent.samples[split] = {sample(Phase::combine_recv, 1.5, 0.25)};
  sent.memory = {{100, 50}};

  const RankReport got = decode(encode(sent));

  EXPECT_EQ(got.ranks, sent.ranks);
  EXPECT_EQ(got.flush_bytes, 77);
  EXPECT_TRUE(got.samples[pair].empty());
  EXPECT_EQ(got.samples[split].at(0).us[static_cast<std::size_t>(Phase::combine_recv)], 1.5);
  EXPECT_EQ(got.samples[split].at(0).misalignment_us, 0.25);
  EXPECT_EQ(got.memory.at(0).touched, 50);
}

TEST(RankReport, DamageIsNoticed) {
  const std::string bytes = encode(report_of({0, 1}));

  EXPECT_THROW(decode(""), EnvironmentError);
  EXPECT_THROW(decode(bytes.substr(0, bytes.size() - 1)), EnvironmentError);
  EXPECT_THROW(decode(bytes + "x"), EnvironmentError);
  EXPECT_THROW(decode(std::string(8, '\xff')), EnvironmentError);
}

TEST(Merge, PutsEveryRankIntoItsColumn) {
  RankReport late = report_of({1});
  late.samples[pair] = {sample(Phase::dispatch_combine, 10, 3), sample(Phase::dispatch_combine, 11)};
  RankReport early = report_of({0, 2});
  early.samples[pair] = {sample(Phase::dispatch_combine, 20), sample(Phase::dispatch_combine, 30),
                         sample(Phase::dispatch_combine, 21), sample(Phase::dispatch_combine, 31)};
  early.memory = {{1, 2}, {3, 4}};
  early.flush_bytes = 8;
  late.flush_bytes = 4;

  const RoundResult result = merge({late, early}, 3);

  const SampleMatrix& times = result.phases[static_cast<std::size_t>(Phase::dispatch_combine)];
  EXPECT_EQ(times.us, (std::vector<double>{20, 10, 30, 21, 11, 31}));
  EXPECT_EQ(result.misalignment.us, (std::vector<double>{0, 3, 0, 0, 0, 0}));
  EXPECT_EQ(result.memory.at(2).reserved, 3);
  EXPECT_EQ(result.flush_bytes, 12);
}

TEST(Merge, APhaseMeasuredNowhereIsEmpty) {
  RankReport report = report_of({0});
  report.samples[fused] = {sample(Phase::dispatch, 1)};

  const RoundResult result = merge({report}, 1);

  EXPECT_EQ(result.phases[static_cast<std::size_t>(Phase::dispatch)].iterations(), 1);
  EXPECT_EQ(result.phases[static_cast<std::size_t>(Phase::combine)].iterations(), 0);
  EXPECT_EQ(result.phases[static_cast<std::size_t>(Phase::dispatch_send)].iterations(), 0);
}

TEST(Merge, RefusesReportsThatDoNotFitTogether) {
  RankReport one = report_of({0});
  one.samples[pair] = {sample(Phase::dispatch_combine, 1)};
  RankReport longer = report_of({1});
  longer.samples[pair] = {sample(Phase::dispatch_combine, 1), sample(Phase::dispatch_combine, 1)};
  RankReport unmeasured = report_of({1});
  unmeasured.samples[pair] = {IterationSample()};

  EXPECT_THROW(merge({one}, 2), EnvironmentError);
  EXPECT_THROW(merge({one, one}, 2), EnvironmentError);
  EXPECT_THROW(merge({one, longer}, 2), EnvironmentError);
  EXPECT_THROW(merge({one, unmeasured}, 2), EnvironmentError);
}

// Where nothing was measured no gap in the samples gives it away.
TEST(Merge, EveryRankReportsOnce) {
  const RankReport first = report_of({0});

  EXPECT_THROW(merge({first}, 2), EnvironmentError);
  EXPECT_THROW(merge({first, first}, 2), EnvironmentError);
  EXPECT_THROW(merge({first, report_of({2})}, 2), EnvironmentError);
  EXPECT_NO_THROW(merge({report_of({1}), first}, 2));
}

}  // namespace
}  // namespace epskew
