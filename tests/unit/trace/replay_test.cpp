#include "epskew/trace/replay.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "epskew/routing/load.hpp"
#include "helpers/usage_error.hpp"

namespace epskew {
namespace {

using Ids = std::vector<std::int32_t>;

/// Token t of `layer` selects experts t mod 4 and (t + 1) mod 4 of 4, with weights t and -t.
Trace token_trace(int tokens, std::vector<int> layers = {3}) {
  Trace trace;
  trace.format = "jsonl";
  trace.source = "toy.jsonl";
  trace.num_experts = 4;
  trace.topk = 2;
  for (const int number : layers) {
    TraceLayer layer;
    layer.layer = number;
    layer.topk = 2;
    for (int t = 0; t < tokens; ++t) {
      layer.topk_idx.insert(layer.topk_idx.end(), {t % 4, (t + 1) % 4});
      layer.topk_weights.insert(layer.topk_weights.end(), {static_cast<float>(t), static_cast<float>(-t)});
    }
    trace.layers.push_back(layer);
  }
  return trace;
}

Trace count_trace(std::vector<std::int64_t> counts, std::vector<std::vector<std::int64_t>> steps = {}) {
  Trace trace;
  trace.source = "toy.csv";
  trace.num_experts = static_cast<int>(counts.size());
  TraceLayer layer;
  layer.counts = std::move(counts);
  layer.steps = std::move(steps);
  trace.layers.push_back(layer);
  return trace;
}

TEST(Replay, DealsAWindowContiguously) {
  const Replay replayed = replay(token_trace(3), {.tokens_per_rank = {2, 1}});

  ASSERT_EQ(replayed.rounds.size(), 1u);
  EXPECT_EQ(replayed.rounds[0].label, "layer 3");
  const RoutingTable& table = replayed.rounds[0].table;
  EXPECT_EQ(table.topk_idx, (Ids{0, 1, 1, 2, 2, 3}));
  EXPECT_EQ(table.topk_weights, (std::vector<float>{0, 0, 1, -1, 2, -2}));
  EXPECT_EQ(table.num_experts, 4);
  EXPECT_TRUE(replayed.notes.empty()) << replayed.notes.front();
}

TEST(Replay, DealsRoundRobinPastFullRanks) {
  const Replay replayed = replay(token_trace(4), {.tokens_per_rank = {3, 1}, .deal = Deal::round_robin});

  // Token 0 to rank 0, 1 to rank 1, which is full then; 2 and 3 to rank 0.
  EXPECT_EQ(replayed.rounds.at(0).table.topk_idx, (Ids{0, 1, 2, 3, 3, 0, 1, 2}));
}

TEST(Replay, CutsWindowsAndNamesWhatIsLeft) {
  const Replay replayed = replay(token_trace(7, {3, 5}), {.tokens_per_rank = {2}, .windows = all_windows});

  ASSERT_EQ(replayed.rounds.size(), 6u);
  EXPECT_EQ(replayed.rounds[2].label, "layer 3 window 2");
  EXPECT_EQ(replayed.rounds[2].table.topk_idx, (Ids{0, 1, 1, 2}));
  EXPECT_EQ(replayed.rounds[2].table.topk_weights, (std::vector<float>{4, -4, 5, -5})) << "tokens 4 and 5";
  EXPECT_EQ(replayed.rounds[3].layer, 5);
  ASSERT_EQ(replayed.notes.size(), 1u) << "layers are alike";
  EXPECT_EQ(replayed.notes[0].find("from layer 3: 6 of 7 recorded tokens are replayed in 3 windows of 2"), 0u)
      << replayed.notes[0];
}

TEST(Replay, PlacementRenumbersExperts) {
  const Placement placement{{3, 2, 1, 0}};

  const Replay replayed = replay(token_trace(2), {.tokens_per_rank = {1, 1}, .placement = placement});

  EXPECT_EQ(replayed.rounds.at(0).table.topk_idx, (Ids{3, 2, 2, 1}));
}

TEST(Replay, KeepsMaskedEntries) {
  Trace trace = token_trace(1);
  trace.layers[0].topk_idx = {-1, 2};

  const Replay replayed = replay(trace, {.tokens_per_rank = {1}, .placement = Placement{{3, 2, 1, 0}}});

  EXPECT_EQ(replayed.rounds.at(0).table.topk_idx, (Ids{-1, 1}));
}

TEST(Replay, WeightsThatWereNotRecordedAreEqual) {
  Trace trace = token_trace(1);
  trace.layers[0].topk_idx = {-1, 2};
  trace.layers[0].topk_weights.clear();

  const Replay replayed = replay(trace, {.tokens_per_rank = {1}});

  EXPECT_EQ(replayed.rounds.at(0).table.topk_weights, (std::vector<float>{0.0f, 0.5f}));
  ASSERT_EQ(replayed.notes.size(), 1u);
  EXPECT_NE(replayed.notes[0].find("no gate weights were recorded"), std::string::npos);
}

TEST(Replay, CountsAreRealisedExactly) {
  const Replay replayed = replay(count_trace({6, 1, 2, 3}), {.tokens_per_rank = {4, 2}, .topk = 2});

  ASSERT_EQ(replayed.rounds.size(), 1u);
  EXPECT_EQ(count_load(replayed.rounds[0].table).expert.loads, (std::vector<std::int64_t>{6, 1, 2, 3}));
  validate(replayed.rounds[0].table, "replayed");
}

TEST(Replay, SaysHowCountsAreScaledAndWhenTheyAreNot) {
  const auto note = [](const Trace& trace, std::int32_t tokens, std::optional<int> windows = std::nullopt) {
    return replay(trace, {.tokens_per_rank = {tokens}, .topk = 1, .windows = windows}).notes.at(0);
  };

  EXPECT_EQ(note(count_trace({1, 2}), 3),
            "the recorded counts are realised exactly; who sends what is drawn by the seed");
  EXPECT_EQ(note(count_trace({1, 2}), 6),
            "counts are scaled by 2 to 6 selections a round and then realised exactly; who sends what is "
            "drawn by the seed");
  EXPECT_EQ(
      note(count_trace({3, 3}, {{2, 0}, {1, 3}}), 4, all_windows).find("counts are scaled by 1 to 2 to"), 0u);
}

TEST(Replay, NeedsMemoryForTheRoundsThatItMakes) {
  // 10^5 steps of 2^20 tokens would be a terabyte; their total is one round.
  const Trace trace = count_trace({100000, 100000}, std::vector(100000, std::vector<std::int64_t>{1, 1}));
  const ReplayOptions total{.tokens_per_rank = {1 << 20}, .topk = 1};
  ReplayOptions steps = total;
  steps.windows = all_windows;

  EXPECT_EQ(replay(trace, total).rounds.size(), 1u);
  EXPECT_NE(test::usage_error_of([&] { replay(trace, steps); }).find(" GB (this machine has"),
            std::string::npos);
}

TEST(Replay, CountsAreScaledToTheWindow) {
  const Replay replayed = replay(count_trace({600, 100, 200, 300}), {.tokens_per_rank = {4, 2}, .topk = 2});

  EXPECT_EQ(count_load(replayed.rounds.at(0).table).expert.loads, (std::vector<std::int64_t>{6, 1, 2, 3}));
}

TEST(Replay, StepsOfCountsAreWindows) {
  const Trace trace = count_trace({3, 3}, {{2, 1}, {1, 2}});

  const Replay replayed = replay(trace, {.tokens_per_rank = {3}, .topk = 1, .windows = 2});

  ASSERT_EQ(replayed.rounds.size(), 2u);
  EXPECT_EQ(replayed.rounds[1].label, "layer 0 window 1");
  EXPECT_EQ(count_load(replayed.rounds[0].table).expert.loads, (std::vector<std::int64_t>{2, 1}));
  EXPECT_EQ(count_load(replayed.rounds[1].table).expert.loads, (std::vector<std::int64_t>{1, 2}));
}

TEST(Replay, PlacementMovesCounts) {
  const Replay replayed =
      replay(count_trace({3, 0}), {.tokens_per_rank = {3}, .topk = 1, .placement = Placement{{1, 0}}});

  EXPECT_EQ(count_load(replayed.rounds.at(0).table).expert.loads, (std::vector<std::int64_t>{0, 3}));
}

TEST(Replay, RefusesWhatTheRecordingCannotGive) {
  struct Case {
    Trace trace;
    ReplayOptions options;
    std::string problem;
  };
  const std::vector<Case> cases = {
      {token_trace(3), {.tokens_per_rank = {1, 1, 1}}, "has 4 experts (they do not divide among 3 ranks)"},
      {token_trace(3),
       {.tokens_per_rank = {4}},
       "layer 3 has 3 recorded tokens (1 windows of 4 tokens need 4)"},
      {token_trace(3), {.tokens_per_rank = {1}, .windows = 4}, "(4 windows of 1 tokens need 4)"},
      {token_trace(3), {.tokens_per_rank = {0, 0}}, "a replay needs tokens"},
      {token_trace(3), {.tokens_per_rank = {1}, .placement = Placement{{0, 0, 1, 2}}}, "the placement"},
      {count_trace({9, 1, 1, 1}),
       {.tokens_per_rank = {6}, .topk = 2},
       "layer 0: expert 0 would get 9 selections from 6 tokens"},
      {count_trace({1, 1}), {.tokens_per_rank = {1}, .topk = 3}, "--num-topk 3 is more than the 2 experts"},
      {count_trace({1, 1}),
       {.tokens_per_rank = {1}, .topk = 1, .windows = 2},
       "layer 0 was recorded in 1 steps (2 windows were asked for)"},
  };

  for (const Case& bad : cases) {
    const std::string message = test::usage_error_of([&] { replay(bad.trace, bad.options); });

    EXPECT_NE(message.find(bad.problem), std::string::npos) << bad.problem << ": " << message;
  }
}

}  // namespace
}  // namespace epskew
