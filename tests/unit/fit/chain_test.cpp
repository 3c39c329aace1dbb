// Recorded → fitted → law file → generated: the loads that come out are those that went in.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <vector>

#include "epskew/fit/fit.hpp"
#include "epskew/fit/fit_law.hpp"
#include "epskew/routing/load.hpp"
#include "epskew/support/random.hpp"
#include "epskew/workload/generate.hpp"
#include "epskew/workload/law_file.hpp"
#include "helpers/temp_folder.hpp"
#include "helpers/usage_error.hpp"

namespace epskew {
namespace {

const std::filesystem::path recordings =
    std::filesystem::path(EPSKEW_SOURCE_DIR).parent_path() / "shared/data/esft-deepseek-v2-lite";

/// Layers whose experts draw their loads from the law, counted in selections.
Trace noisy_recording(LawFamily family, const std::vector<double>& parameters) {
  Trace trace;
  trace.source = "made.csv";
  trace.num_experts = 64;
  const std::vector<double> curve = law_curve(family, parameters, 64);
  for (int l = 0; l < 12; ++l) {
    TraceLayer layer;
    layer.layer = l;
    RandomStream random(2, static_cast<std::uint64_t>(l));
    for (const double y : curve)
      layer.counts.push_back(std::llround(800 * y * (0.9 + 0.2 * random.uniform())));
    shuffle(layer.counts, random);
    trace.layers.push_back(std::move(layer));
  }
  return trace;
}

std::vector<double> generated_loads(const LawFile& law, int num_ranks) {
  WorkloadSpec spec;
  spec.num_experts = 64;
  spec.topk = 6;
  spec.tokens_per_rank.assign(static_cast<std::size_t>(num_ranks), 512);
  apply_law(law, spec);
  const RoutingLoad load = count_load(generate(spec).table);
  const auto& counts = law.level == LawLevel::expert ? load.expert.loads : load.rank.loads;
  return sorted_loads(std::vector<double>(counts.begin(), counts.end()), "generated");
}

double sse(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

/// Fits, writes, reads and generates; the generated loads must be as near to every recorded layer as the
/// law's own curve is, but for the rounding to whole selections.
void expect_the_chain_to_hold(const Trace& trace, const FitOptions& options, int num_ranks) {
  const FitReport report = fit_trace(trace, options);
  const test::TempFolder folder;
  write_law(law_of(report), folder.path() / "law.json");

  const LawFile law = read_law(folder.path() / "law.json");
  const std::vector<double> generated = generated_loads(law, num_ranks);

  const LevelFit& level = report.levels.front();
  const auto& pooled = level.pooled[static_cast<std::size_t>(level.verdict.best)];
  ASSERT_EQ(generated.size(), pooled.curve.size());
  EXPECT_EQ(law.family, name_of(level.verdict.best));
  EXPECT_EQ(law.curve.empty(), generator_family(level.verdict.best).has_value());
  // Generated loads have mean 1, a least-squares curve nearly so. The rounding is of one selection at every
  // place, whose mean load is 6 * 512 * ranks / places.
  const double mean = std::accumulate(pooled.curve.begin(), pooled.curve.end(), 0.0) / level.places;
  std::vector<double> expected = pooled.curve;
  for (double& load : expected) load /= mean;
  const double step = static_cast<double>(level.places) / (6.0 * 512 * num_ranks);
  EXPECT_LT(sse(generated, expected), level.places * step * step) << law.family;
  double recorded = 0;
  double fitted = 0;
  for (const LayerFit& layer : level.layers) {
    recorded += sse(generated, layer.loads);
    fitted += sse(pooled.curve, layer.loads);
  }
  EXPECT_LT(recorded, 1.02 * fitted) << law.family;
}

FitOptions of_ranks(int num_ranks) {
  FitOptions options;
  options.expert = false;
  options.num_ranks = {num_ranks};
  options.bootstrap = 0;
  return options;
}

FitOptions of_experts() {
  FitOptions options;
  options.bootstrap = 0;
  return options;
}

TEST(Chain, LognormalRanks) {
  expect_the_chain_to_hold(noisy_recording(LawFamily::lognormal, {0, 0.6}), of_ranks(16), 16);
}

TEST(Chain, LognormalExperts) {
  expect_the_chain_to_hold(noisy_recording(LawFamily::lognormal, {0, 0.6}), of_experts(), 8);
}

TEST(Chain, GammaExperts) {
  expect_the_chain_to_hold(noisy_recording(LawFamily::gamma, {1, 1.5}), of_experts(), 8);
}

TEST(Chain, ALawThatTheGeneratorLacksTravelsAsItsCurve) {
  expect_the_chain_to_hold(noisy_recording(LawFamily::normal, {1, 0.25}), of_experts(), 8);
}

TEST(Chain, RealRecordings) {
  if (!std::filesystem::exists(recordings)) GTEST_SKIP() << recordings << " is not on this machine";
  for (const char* domain : {"law", "intent"}) {
    const Trace trace = read_trace(recordings / domain, {});
    expect_the_chain_to_hold(trace, of_experts(), 8);
    expect_the_chain_to_hold(trace, of_ranks(16), 16);
  }
}

TEST(LawOf, PassesOverALawWithLoadsBelowZero) {
  // Loads whose best fit is a normal law that starts below zero.
  const FitReport report = fit_trace(
      [] {
        Trace trace;
        trace.source = "made.csv";
        trace.num_experts = 64;
        TraceLayer layer;
        for (const double y : law_curve(LawFamily::normal, std::vector<double>{1, 0.45}, 64)) {
          layer.counts.push_back(std::max(0LL, std::llround(1000 * y)));
        }
        trace.layers.push_back(std::move(layer));
        return trace;
      }(),
      of_experts());
  ASSERT_EQ(report.levels[0].verdict.best, LawFamily::normal);
  ASSERT_LT(report.levels[0].pooled[static_cast<std::size_t>(LawFamily::normal)].curve.front(), 0);

  const LawFile law = law_of(report);

  EXPECT_NE(law.family, "normal");
  for (const double load : law.curve) EXPECT_GE(load, 0);
}

TEST(LawOf, WantsOneNumberOfRanks) {
  FitOptions options = of_ranks(16);
  options.num_ranks = {8, 16};
  const FitReport report = fit_trace(noisy_recording(LawFamily::lognormal, {0, 0.6}), options);

  EXPECT_NE(test::usage_error_of([&] { law_of(report); }).find("several laws"), std::string::npos);
}

}  // namespace
}  // namespace epskew
