// A recording made here, to the last row; and the recorded routing that lies beside the repository on some
// machines, against the figures in its README.

#include "helpers/esft_recording.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "epskew/routing/load.hpp"
#include "epskew/trace/replay.hpp"
#include "epskew/trace/trace.hpp"

namespace epskew {
namespace {

struct Domain {
  const char* name;
  std::int64_t num_tokens;
  std::vector<std::pair<int, std::string>> figures;  ///< places -> "mean / worst" of max/mean over the layers
};

double factor(const std::vector<std::int64_t>& counts, int places) {
  std::vector<std::int64_t> loads(static_cast<std::size_t>(places), 0);
  for (std::size_t e = 0; e < counts.size(); ++e) loads[e * loads.size() / counts.size()] += counts[e];
  return measure_loads(loads).factor;
}

std::string mean_and_worst(const Trace& trace, int places) {
  double sum = 0;
  double worst = 0;
  for (const TraceLayer& layer : trace.layers) {
    sum += factor(layer.counts, places);
    worst = std::max(worst, factor(layer.counts, places));
  }
  return fmt::format("{:.2f} / {:.2f}", sum / static_cast<double>(trace.layers.size()), worst);
}

TEST(MadeRecording, IsReadToTheLastRow) {
  const test::EsftRecording recording;

  const Trace trace = read_trace(recording.path(), {.num_experts = 64});

  EXPECT_EQ(trace.format, "esft");
  EXPECT_EQ(trace.topk, 6);
  EXPECT_EQ(trace.constant_rows, 0);
  ASSERT_EQ(trace.layers.size(), recording.layers().size());
  auto read = trace.layers.begin();
  for (const auto& [number, layer] : recording.layers()) {
    EXPECT_EQ(read->layer, number);
    EXPECT_EQ(read->topk_idx, layer.ids) << number;
    EXPECT_EQ(read->topk_weights, layer.weights) << number;
    EXPECT_EQ(read->counts, test::EsftRecording::counts_of(layer)) << number;
    ++read;
  }
}

TEST(MadeRecording, IsReplayedTokenByToken) {
  const test::EsftRecording recording;
  const Trace trace = read_trace(recording.path(), {.num_experts = 64, .layers = {10}});

  const Replay replayed = replay(trace, {.tokens_per_rank = {100, 0, 150, 0}, .windows = 2});

  ASSERT_EQ(replayed.rounds.size(), 2u);
  std::vector<std::int32_t> ids;
  for (const ReplayRound& round : replayed.rounds)
    ids.insert(ids.end(), round.table.topk_idx.begin(), round.table.topk_idx.end());
  EXPECT_EQ(ids, recording.layers().at(10).ids);
}

class EsftRecording : public ::testing::TestWithParam<Domain> {};

TEST_P(EsftRecording, HasThePublishedFigures) {
  const auto folder = std::filesystem::path(EPSKEW_SOURCE_DIR).parent_path() /
                      "shared/data/esft-deepseek-v2-lite" / GetParam().name;
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not on this machine";

  const Trace trace = read_trace(folder, {});

  EXPECT_EQ(trace.format, "esft");
  EXPECT_EQ(trace.num_experts, 64);
  EXPECT_EQ(trace.constant_rows, 0);
  ASSERT_EQ(trace.layers.size(), 26u);
  for (const TraceLayer& layer : trace.layers) EXPECT_EQ(layer.num_tokens(), GetParam().num_tokens);
  for (const auto& [places, expected] : GetParam().figures)
    EXPECT_EQ(mean_and_worst(trace, places), expected) << places;
}

INSTANTIATE_TEST_SUITE_P(
    Domains, EsftRecording,
    ::testing::Values(
        Domain{
            "law", 8327, {{8, "1.39 / 2.32"}, {16, "1.70 / 2.41"}, {32, "2.35 / 4.38"}, {64, "3.52 / 6.87"}}},
        Domain{"intent",
               8222,
               {{8, "1.44 / 1.73"}, {16, "1.80 / 2.52"}, {32, "2.45 / 3.04"}, {64, "3.81 / 4.68"}}}),
    [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace epskew
