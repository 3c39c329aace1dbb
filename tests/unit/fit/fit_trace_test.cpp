#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "epskew/fit/fit.hpp"
#include "epskew/fit/fit_json.hpp"
#include "epskew/support/error.hpp"
#include "epskew/support/random.hpp"

namespace epskew {
namespace {

TraceLayer count_layer(int number, std::vector<std::int64_t> counts) {
  TraceLayer layer;
  layer.layer = number;
  layer.counts = std::move(counts);
  return layer;
}

/// A count trace whose layers follow the law up to rounding, the places shuffled.
Trace counts_of(LawFamily family, const std::vector<double>& parameters, int num_experts, int num_layers) {
  Trace trace;
  trace.format = "csv";
  trace.source = "made.csv";
  trace.num_experts = num_experts;
  const std::vector<double> curve = law_curve(family, parameters, num_experts);
  for (int l = 0; l < num_layers; ++l) {
    TraceLayer layer;
    layer.layer = l + 3;
    for (const double y : curve) layer.counts.push_back(std::llround(10000 * y));
    RandomStream random(1, static_cast<std::uint64_t>(l));
    shuffle(layer.counts, random);
    trace.layers.push_back(std::move(layer));
  }
  return trace;
}

Trace lognormal_counts(int num_experts = 64, int num_layers = 4) {
  return counts_of(LawFamily::lognormal, {0, 0.6}, num_experts, num_layers);
}

/// A token trace in which token t selects expert t mod E and, every third token, expert 0 or 1 besides.
Trace tokens_of(int num_experts, int num_tokens) {
  Trace trace;
  trace.format = "jsonl";
  trace.source = "made.jsonl";
  trace.num_experts = num_experts;
  TraceLayer layer;
  layer.layer = 1;
  layer.topk = 2;
  layer.counts.assign(static_cast<std::size_t>(num_experts), 0);
  for (int t = 0; t < num_tokens; ++t) {
    const int first = t % num_experts;
    const int second = t % 3 == 0 ? (first == 0 ? 1 : 0) : -1;
    layer.topk_idx.insert(layer.topk_idx.end(), {first, second});
    ++layer.counts[static_cast<std::size_t>(first)];
    if (second >= 0) ++layer.counts[static_cast<std::size_t>(second)];
  }
  trace.layers.push_back(std::move(layer));
  return trace;
}

FitOptions quick() {
  FitOptions options;
  options.bootstrap = 0;
  return options;
}

const FamilySummary& of(const LevelFit& level, LawFamily family) {
  return level.families[static_cast<std::size_t>(family)];
}

TEST(FitTrace, NamesTheLawThatTheLoadsFollow) {
  FitOptions options;
  options.bootstrap = 100;

  const FitReport report = fit_trace(lognormal_counts(), options);

  ASSERT_EQ(report.levels.size(), 1u);
  const LevelFit& level = report.levels.front();
  EXPECT_TRUE(level.is_expert());
  EXPECT_EQ(level.places, 64);
  EXPECT_EQ(level.verdict.best, LawFamily::lognormal);
  EXPECT_TRUE(level.verdict.distinguishable) << level.verdict.reason;
  EXPECT_EQ(of(level, LawFamily::lognormal).wins, 4);
  EXPECT_NEAR(of(level, LawFamily::lognormal).parameters[1].p50, 0.6, 1e-3);
  EXPECT_NE(level.conclusion.find("lognormal fits best"), std::string::npos) << level.conclusion;
}

TEST(FitTrace, IntervalsHoldTheFitAndTheLaw) {
  FitOptions options;
  options.bootstrap = 100;

  const FitReport report = fit_trace(lognormal_counts(64, 1), options);

  const FamilyFit& lognormal =
      report.levels[0].layers[0].fits[static_cast<std::size_t>(LawFamily::lognormal)];
  ASSERT_EQ(lognormal.intervals.size(), 2u);
  EXPECT_LT(lognormal.intervals[1].low, 0.6);
  EXPECT_GT(lognormal.intervals[1].high, 0.6);
  EXPECT_LT(lognormal.intervals[1].high - lognormal.intervals[1].low, 0.4);
  ASSERT_TRUE(lognormal.ks_p);
  EXPECT_GT(*lognormal.ks_p, 0.9);  // the loads are the law's own quantiles
  const FamilyFit& normal = report.levels[0].layers[0].fits[static_cast<std::size_t>(LawFamily::normal)];
  EXPECT_LT(*normal.ks_p, 0.2);
}

// Every layer is the law itself, so that nothing but the number of places speaks against naming it.
TEST(FitTrace, FewerThanSixteenPlacesAreNeverDistinguishable) {
  FitOptions options;
  options.bootstrap = 40;

  const LevelFit fifteen = fit_trace(lognormal_counts(15), options).levels[0];
  const LevelFit sixteen = fit_trace(lognormal_counts(16), options).levels[0];

  EXPECT_TRUE(sixteen.verdict.distinguishable) << sixteen.verdict.reason;
  EXPECT_FALSE(fifteen.verdict.distinguishable);
  EXPECT_NE(fifteen.conclusion.find("not distinguishable (15 places are fewer than the 16"),
            std::string::npos);
  for (const LayerFit& layer : fifteen.layers) {
    EXPECT_FALSE(layer.verdict.distinguishable);
    EXPECT_NE(layer.verdict.reason.find("fewer than the 16"), std::string::npos) << layer.verdict.reason;
  }
}

TEST(FitTrace, EqualLoadsAreResampledApart) {
  FitOptions options;
  options.bootstrap = 40;
  options.num_ranks = {32};  // one expert a rank: the loads of the experts once more

  const FitReport report = fit_trace(lognormal_counts(32, 2), options);

  const auto low = [&](std::size_t level, std::size_t layer) {
    return report.levels[level].layers[layer].fits[1].intervals[1].low;
  };
  EXPECT_EQ(report.levels[0].layers[0].loads, report.levels[1].layers[0].loads);
  EXPECT_NE(low(0, 0), low(1, 0));
  EXPECT_NE(low(0, 0), low(0, 1));
}

TEST(FitTrace, LawsThatLookAlikeAreNotToldApart) {
  // Gamma and Weibull nearly coincide around shape 1.2, and 16 places cannot tell.
  FitOptions options;
  options.bootstrap = 200;

  const FitReport report = fit_trace(counts_of(LawFamily::gamma, {1, 1.3}, 16, 1), options);

  const Verdict& verdict = report.levels[0].verdict;
  EXPECT_FALSE(verdict.distinguishable);
  EXPECT_FALSE(verdict.rivals.empty());
}

TEST(FitTrace, WithoutBootstrapNothingIsNamed) {
  const FitReport report = fit_trace(lognormal_counts(), quick());

  EXPECT_FALSE(report.levels[0].verdict.distinguishable);
  EXPECT_TRUE(report.levels[0].layers[0].fits[1].intervals.empty());
  EXPECT_FALSE(report.levels[0].layers[0].fits[1].ks_p);
}

TEST(FitTrace, RankLoadsFollowThePlacement) {
  Trace trace;
  trace.source = "four.csv";
  trace.num_experts = 4;
  trace.layers.push_back(count_layer(0, {6, 2, 1, 3}));
  FitOptions options = quick();
  options.expert = false;
  options.num_ranks = {2};

  const FitReport contiguous = fit_trace(trace, options);
  options.placement = Placement{{0, 2, 1, 3}};  // ranks {0, 2} and {1, 3}
  const FitReport placed = fit_trace(trace, options);

  EXPECT_EQ(contiguous.levels[0].layers[0].loads, (std::vector<double>{4.0 / 6, 8.0 / 6}));
  EXPECT_EQ(placed.levels[0].layers[0].loads, (std::vector<double>{5.0 / 6, 7.0 / 6}));
  EXPECT_EQ(placed.placement, "as given");
}

TEST(FitTrace, SummaryByHand) {
  Trace trace;
  trace.source = "two.csv";
  trace.num_experts = 2;
  trace.layers.push_back(count_layer(0, {1, 3}));
  trace.layers.push_back(count_layer(5, {9, 1}));

  const FitReport report = fit_trace(trace, quick());

  const LevelFit& level = report.levels[0];
  EXPECT_EQ(report.layers, (std::vector<int>{0, 5}));
  EXPECT_DOUBLE_EQ(level.layers[0].factor, 1.5);
  EXPECT_DOUBLE_EQ(level.layers[0].cv, 0.5);
  EXPECT_DOUBLE_EQ(level.mean_factor, (1.5 + 1.8) / 2);
  EXPECT_DOUBLE_EQ(level.worst_factor, 1.8);
  EXPECT_NEAR(level.factor.p10, 1.53, 1e-12);
  EXPECT_DOUBLE_EQ(of(level, LawFamily::uniform).mean_sse, (0.5 + 1.28) / 2);
  EXPECT_NEAR(level.mean_loads[0], (0.5 + 0.2) / 2, 1e-12);
  int wins = 0;
  for (const FamilySummary& family : level.families) wins += family.wins;
  EXPECT_EQ(wins, 2);
}

TEST(FitTrace, WindowsCutConsecutiveTokens) {
  FitOptions options = quick();
  options.num_ranks = {2};
  options.window_tokens = {12};

  const FitReport report = fit_trace(tokens_of(8, 100), options);

  ASSERT_EQ(report.windows.size(), 2u);
  EXPECT_TRUE(report.windows[0].expert);
  EXPECT_EQ(report.windows[0].places, 8);
  const WindowFit& ranks = report.windows[1];
  EXPECT_EQ(ranks.places, 2);
  EXPECT_EQ(ranks.tokens, 24);
  EXPECT_EQ(ranks.windows, 4);
  EXPECT_EQ(ranks.tokens_left_over, 4);
  // 24 tokens give 12 selections to each half of the experts, and the 8 second choices all go to the lower
  // half.
  EXPECT_DOUBLE_EQ(ranks.mean_factor, 20.0 / 16);
  EXPECT_GT(ranks.floor, 1.0);
  EXPECT_LT(ranks.floor, 1.3);
}

TEST(FitTrace, WhatCannotBeWindowedIsNoted) {
  FitOptions options = quick();
  options.num_ranks = {2};

  const FitReport counts = fit_trace(lognormal_counts(), options);
  const FitReport short_trace = fit_trace(tokens_of(8, 100), options);

  ASSERT_EQ(counts.notes.size(), 1u);
  EXPECT_NE(counts.notes[0].find("counts, not tokens"), std::string::npos);
  EXPECT_TRUE(counts.windows.empty());
  ASSERT_EQ(short_trace.notes.size(), 1u);
  EXPECT_NE(short_trace.notes[0].find("longest layer has 100"), std::string::npos);
}

TEST(FitTrace, WindowsWithoutRanksAreNoted) {
  FitOptions options = quick();
  options.window_tokens = {16};

  const FitReport report = fit_trace(tokens_of(8, 100), options);

  ASSERT_EQ(report.notes.size(), 1u);
  EXPECT_NE(report.notes[0].find("no number of ranks was fitted"), std::string::npos) << report.notes[0];
}

// Regression: exprank was "clear" at the steepest rate that is searched.
TEST(FitTrace, NamesNothingWhereOneExpertHasEverything) {
  Trace trace;
  trace.source = "one.csv";
  trace.num_experts = 64;
  std::vector<std::int64_t> counts(64, 0);
  counts[7] = 1'000'000;
  trace.layers.push_back(count_layer(0, counts));
  FitOptions options;
  options.bootstrap = 40;

  const FitReport report = fit_trace(trace, options);

  EXPECT_FALSE(report.levels[0].verdict.distinguishable);
  EXPECT_NE(report.levels[0].verdict.reason.find("at the end of the searched range"), std::string::npos)
      << report.levels[0].verdict.reason;
  EXPECT_EQ(of(report.levels[0], LawFamily::exprank).at_bound, 1);
}

TEST(FitTrace, TheFloorIsThatOfUniformRouting) {
  // 2 ranks, 16 selections: mean of max / mean is 1 + E|B - 8| / 8, B binomial(16, 1/2), = 1 + 16·C(16,
  // 8)/2^16 / 16.
  Trace trace;
  trace.source = "two.csv";
  trace.num_experts = 2;
  trace.layers.push_back(count_layer(0, {1, 15}));

  const double floor = fit_trace(trace, quick()).levels[0].floor;

  EXPECT_NEAR(floor, 1 + 12870.0 / 65536, 0.06);
}

// Every token has one selection left of two: 16 single draws, not eight pairs (whose factor would be 1).
TEST(FitTrace, TheFloorOfAMaskedRecordingDrawsWhatIsLeft) {
  Trace trace;
  trace.source = "masked.jsonl";
  trace.num_experts = 2;
  TraceLayer layer = count_layer(0, {1, 15});
  layer.topk = 2;
  for (int token = 0; token < 16; ++token)
    layer.topk_idx.insert(layer.topk_idx.end(), {token == 0 ? 0 : 1, -1});
  trace.layers.push_back(layer);
  FitOptions options = quick();
  options.num_ranks = {2};
  options.window_tokens = {8};

  const FitReport report = fit_trace(trace, options);

  EXPECT_NEAR(report.levels[0].floor, 1 + 12870.0 / 65536, 0.06);
  ASSERT_EQ(report.windows.size(), 2u);
  EXPECT_NEAR(report.windows[1].floor, 1 + 12870.0 / 65536, 0.06);
}

// 16 selections in one layer, 4 in the other: C(4, 2)/2^4.
TEST(FitTrace, TheFloorIsTheMeanOfThoseOfTheLayers) {
  Trace trace;
  trace.source = "two.csv";
  trace.num_experts = 2;
  trace.layers.push_back(count_layer(0, {1, 15}));
  trace.layers.push_back(count_layer(1, {1, 3}));

  const double floor = fit_trace(trace, quick()).levels[0].floor;

  EXPECT_NEAR(floor, 1 + (12870.0 / 65536 + 6.0 / 16) / 2, 0.04);
}

// C(n, n/2)/2^n → sqrt(2 / (pi n)). Drawn one by one, 10^14 selections would take weeks.
TEST(FitTrace, TheFloorOfALargeRecordingIsDrawnAsCounts) {
  constexpr double n = 1e14;
  Trace trace;
  trace.source = "large.csv";
  trace.num_experts = 2;
  trace.layers.push_back(count_layer(0, {std::int64_t{1}, static_cast<std::int64_t>(n) - 1}));

  const double floor = fit_trace(trace, quick()).levels[0].floor;

  EXPECT_NEAR((floor - 1) / std::sqrt(2 / (std::acos(-1.0) * n)), 1, 0.3);
}

// 64 independent normal loads have their largest 2.34 standard deviations above the mean.
TEST(FitTrace, CountsDrawnAtOnceAreEvenOverTheExperts) {
  Trace trace;
  trace.source = "large.csv";
  trace.num_experts = 64;
  std::vector<std::int64_t> counts(64, 1'000'000'000);
  counts[5] = 1'000'500'000;
  trace.layers.push_back(count_layer(0, counts));

  const double floor = fit_trace(trace, quick()).levels[0].floor;

  EXPECT_NEAR((floor - 1) * std::sqrt(1e9), 2.34, 0.2);
}

TEST(FitTrace, IsAFunctionOfItsSeed) {
  FitOptions options;
  options.bootstrap = 40;
  options.num_ranks = {16};
  const Trace trace = lognormal_counts(32, 2);
  const auto text = [&](std::uint64_t seed) {
    options.seed = seed;
    return to_json(fit_trace(trace, options), {"0", {"epskew"}, "2026-01-01T00:00:00Z"});
  };

  const std::string first = text(1);

  EXPECT_EQ(first, text(1));
  EXPECT_NE(first, text(2));
}

TEST(FitTrace, ALevelDoesNotDependOnTheOthersAskedFor) {
  FitOptions options;
  options.bootstrap = 40;
  options.num_ranks = {16};
  const Trace trace = lognormal_counts(32, 2);
  const FitReport both = fit_trace(trace, options);
  options.expert = false;

  const FitReport ranks = fit_trace(trace, options);

  EXPECT_EQ(both.levels[1].layers[0].fits[1].intervals[1].low,
            ranks.levels[0].layers[0].fits[1].intervals[1].low);
  EXPECT_EQ(both.levels[1].conclusion, ranks.levels[0].conclusion);
}

TEST(FitTrace, PoolingStartsFromTheExperts) {
  FitOptions options = quick();
  options.num_ranks = {16, 8, 32};

  const FitReport report = fit_trace(lognormal_counts(64, 6), options);

  ASSERT_EQ(report.pooling.size(), 4u);
  EXPECT_EQ(report.pooling[0].experts_per_rank, 1);
  EXPECT_EQ(report.pooling[3].experts_per_rank, 8);
  EXPECT_DOUBLE_EQ(report.pooling[3].independent_cv, report.pooling[0].cv / std::sqrt(8.0));
  EXPECT_GT(report.pooling[0].sigma, report.pooling[3].sigma);
}

TEST(FitTrace, DefaultWorldSizesDivideTheExperts) {
  EXPECT_EQ(default_num_ranks(64), (std::vector<int>{8, 16, 32}));
  EXPECT_EQ(default_num_ranks(60), (std::vector<int>{}));
  EXPECT_EQ(default_num_ranks(8), (std::vector<int>{8}));
}

struct Bad {
  std::string why;
  std::function<void(Trace&, FitOptions&)> spoil;
};

TEST(FitTrace, RefusesWhatCannotBeFitted) {
  const std::vector<Bad> cases = {
      {"no layers", [](Trace& t, FitOptions&) { t.layers.clear(); }},
      {"1 expert", [](Trace& t, FitOptions&) { t.num_experts = 1; }},
      {"layer 4 has 63 experts", [](Trace& t, FitOptions&) { t.layers[1].counts.pop_back(); }},
      {"counts -4 selections of expert 2", [](Trace& t, FitOptions&) { t.layers[0].counts[2] = -4; }},
      {"layer 4 has no selections", [](Trace& t, FitOptions&) { t.layers[1].counts.assign(64, 0); }},
      {"layer 4 has equal loads", [](Trace& t, FitOptions&) { t.layers[1].counts.assign(64, 7); }},
      {"layer 3 on 2 ranks has equal loads",
       [](Trace& t, FitOptions& o) {
         o.num_ranks = {2};
         t.layers[0].counts.assign(64, 7);
         std::fill_n(t.layers[0].counts.begin() + 31, 2, 9);
         o.expert = false;
       }},
      {"--num-processes 24", [](Trace&, FitOptions& o) { o.num_ranks = {24}; }},
      {"--num-processes 1 ", [](Trace&, FitOptions& o) { o.num_ranks = {1}; }},
      {"--num-processes 0 ", [](Trace&, FitOptions& o) { o.num_ranks = {0}; }},
      {"--windows 0", [](Trace&, FitOptions& o) { o.window_tokens = {0}; }},
      {"--bootstrap 7", [](Trace&, FitOptions& o) { o.bootstrap = 7; }},
      {"--bootstrap -1", [](Trace&, FitOptions& o) { o.bootstrap = -1; }},
      {"no level", [](Trace&, FitOptions& o) { o.expert = false; }},
      {"the placement places 3 experts",
       [](Trace&, FitOptions& o) {
         o.placement = Placement{{0, 1, 2}};
       }},
  };
  for (const Bad& bad : cases) {
    Trace trace = lognormal_counts();
    FitOptions options = quick();
    bad.spoil(trace, options);
    try {
      fit_trace(trace, options);
      ADD_FAILURE() << "not refused: " << bad.why;
    } catch (const UsageError& error) {
      EXPECT_NE(std::string(error.what()).find(bad.why), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace epskew
