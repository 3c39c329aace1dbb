// A recording made here against its own counts; real recordings against figures from elsewhere, skipped where
// these are not on the machine.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <numeric>
#include <vector>

#include "epskew/fit/fit.hpp"
#include "helpers/esft_recording.hpp"

namespace epskew {
namespace {

const std::filesystem::path recordings =
    std::filesystem::path(EPSKEW_SOURCE_DIR).parent_path() / "shared/data/esft-deepseek-v2-lite";

double factor_over(const std::vector<std::int64_t>& counts, std::size_t places) {
  std::vector<double> loads(places, 0);
  for (std::size_t e = 0; e < counts.size(); ++e)
    loads[e * places / counts.size()] += static_cast<double>(counts[e]);
  return *std::max_element(loads.begin(), loads.end()) /
         (std::accumulate(loads.begin(), loads.end(), 0.0) / static_cast<double>(places));
}

TEST(MadeRecording, IsFittedWithItsOwnFactors) {
  const test::EsftRecording made;
  FitOptions options;
  options.num_ranks = {8};
  options.bootstrap = 0;

  const FitReport report = fit_trace(read_trace(made.path(), {.num_experts = 64}), options);

  EXPECT_EQ(report.layers, (std::vector<int>{1, 2, 10}));
  EXPECT_EQ(report.tokens, test::EsftRecording::num_tokens);
  ASSERT_EQ(report.levels.size(), 2u);
  std::size_t at = 0;
  for (const auto& [number, layer] : made.layers()) {
    const std::vector<std::int64_t> counts = test::EsftRecording::counts_of(layer);
    EXPECT_DOUBLE_EQ(report.levels[0].layers[at].factor, factor_over(counts, 64)) << number;
    EXPECT_DOUBLE_EQ(report.levels[1].layers[at].factor, factor_over(counts, 8)) << number;
    ++at;
  }
}

class Recording : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(recordings)) GTEST_SKIP() << recordings << " is not on this machine";
  }

  static FitReport fit(const char* domain) {
    FitOptions options;
    options.num_ranks = {8, 16, 32};
    options.bootstrap = 0;
    return fit_trace(read_trace(recordings / domain, {}), options);
  }

  static double mean_sse(const FitReport& report, std::size_t level, LawFamily family) {
    return report.levels[level].families[static_cast<std::size_t>(family)].mean_sse;
  }

  /// To the last digit that was published.
  static void expect_factors(const FitReport& report, const std::array<std::array<double, 2>, 4>& published) {
    for (std::size_t l = 0; l < published.size(); ++l) {
      EXPECT_NEAR(report.levels[l].mean_factor, published[l][0], 0.005) << "level " << l;
      EXPECT_NEAR(report.levels[l].worst_factor, published[l][1], 0.005) << "level " << l;
    }
  }
};

// Factors: the README of the recordings. SSE: scipy 1.10, scipy.optimize.minimize (Nelder–Mead, restarted)
// over both parameters of every law, mean over the 26 layers; tests/fit/laws.py holds the laws.
TEST_F(Recording, LawAsPublishedAndAsScipyFitsIt) {
  const FitReport report = fit("law");

  expect_factors(report, {{{3.52, 6.87}, {1.39, 2.32}, {1.70, 2.41}, {2.35, 4.38}}});
  EXPECT_NEAR(mean_sse(report, 0, LawFamily::lognormal), 0.92123, 9e-05);
  EXPECT_NEAR(mean_sse(report, 0, LawFamily::gamma), 1.55392, 0.0002);
  EXPECT_NEAR(mean_sse(report, 0, LawFamily::weibull), 1.76377, 0.0002);
  EXPECT_NEAR(mean_sse(report, 0, LawFamily::exprank), 3.88511, 0.0004);
  EXPECT_NEAR(mean_sse(report, 0, LawFamily::powerlaw), 2.24018, 0.0002);
  EXPECT_NEAR(mean_sse(report, 2, LawFamily::lognormal), 0.103187, 1e-05);
  EXPECT_NEAR(mean_sse(report, 2, LawFamily::gamma), 0.123877, 1e-05);
  EXPECT_NEAR(mean_sse(report, 2, LawFamily::weibull), 0.180975, 2e-05);
  EXPECT_NEAR(mean_sse(report, 2, LawFamily::exprank), 0.168358, 2e-05);
  EXPECT_NEAR(mean_sse(report, 2, LawFamily::powerlaw), 0.151689, 2e-05);
}

TEST_F(Recording, IntentAsPublishedAndAsScipyFitsIt) {
  const FitReport report = fit("intent");

  expect_factors(report, {{{3.81, 4.68}, {1.44, 1.73}, {1.80, 2.52}, {2.45, 3.04}}});
  EXPECT_NEAR(mean_sse(report, 0, LawFamily::lognormal), 1.42709, 0.0001);
  EXPECT_NEAR(mean_sse(report, 0, LawFamily::gamma), 0.895979, 9e-05);
  EXPECT_NEAR(mean_sse(report, 0, LawFamily::weibull), 0.946273, 9e-05);
  EXPECT_NEAR(mean_sse(report, 0, LawFamily::exprank), 2.22485, 0.0002);
  EXPECT_NEAR(mean_sse(report, 0, LawFamily::powerlaw), 5.15495, 0.0005);
  EXPECT_NEAR(mean_sse(report, 2, LawFamily::lognormal), 0.125485, 1e-05);
  EXPECT_NEAR(mean_sse(report, 2, LawFamily::gamma), 0.110461, 1e-05);
  EXPECT_NEAR(mean_sse(report, 2, LawFamily::weibull), 0.125382, 1e-05);
  EXPECT_NEAR(mean_sse(report, 2, LawFamily::exprank), 0.135075, 1e-05);
  EXPECT_NEAR(mean_sse(report, 2, LawFamily::powerlaw), 0.339043, 3e-05);
}

// Means over windows of 128 tokens in all, computed apart: 1.46, 1.86 and 2.61 for 8, 16 and 32 ranks,
// and 1.14, 1.25, 1.44 for uniform random routing of the same shape.
TEST_F(Recording, SmallWindowsAsPublished) {
  const Trace trace = read_trace(recordings / "law", {});
  const std::array<int, 3> ranks = {8, 16, 32};
  const std::array<double, 3> factor = {1.46, 1.86, 2.61};
  const std::array<double, 3> floor = {1.14, 1.25, 1.44};
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    FitOptions options;
    options.expert = false;
    options.bootstrap = 0;
    options.num_ranks = {ranks[i]};
    options.window_tokens = {128 / ranks[i]};

    const FitReport report = fit_trace(trace, options);

    EXPECT_NEAR(report.windows.at(0).mean_factor, factor[i], 0.01);
    EXPECT_NEAR(report.windows.at(0).floor, floor[i], 0.02);
  }
}

}  // namespace
}  // namespace epskew
