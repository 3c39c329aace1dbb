#include "epskew/trace/replay.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "epskew/routing/footprint.hpp"
#include "epskew/support/error.hpp"
#include "epskew/support/memory.hpp"
#include "trace/replay_steps.hpp"

namespace epskew {
namespace {

void check_shape(const Trace& trace, const ReplayOptions& options) {
  const auto ranks = static_cast<int>(options.tokens_per_rank.size());
  if (trace.num_experts % ranks != 0) {
    throw UsageError(fmt::format(
        "{} has {} experts{} (they do not divide among {} ranks); choose other ranks or state --num-experts",
        trace.source.string(), trace.num_experts, trace.num_experts_inferred ? ", the largest id + 1" : "",
        ranks));
  }
  if (window_tokens(options) == 0)
    throw UsageError("a replay needs tokens (all ranks have none); give some ranks tokens");
  if (options.placement) validate(*options.placement, trace.num_experts, "the placement");
}

/// Before any table is made: what all of them need.
void check_memory(const Trace& trace, const ReplayOptions& options) {
  const auto tokens = static_cast<double>(window_tokens(options));
  const auto ranks = static_cast<int>(options.tokens_per_rank.size());
  double bytes = 0;
  for (const TraceLayer& layer : trace.layers) {
    const bool is_counts = layer.topk == 0;
    const double windows = is_counts ? num_count_rounds(layer, options) : num_token_windows(layer, options);
    const int topk = is_counts ? options.topk : layer.topk;
    bytes += windows * (table_bytes(tokens, topk) + pair_counts_bytes(ranks));
  }
  require_memory(bytes, "the replay of " + trace.source.string(), "choose fewer layers, windows or tokens");
}

/// Says how much of a token trace the windows hold, once where all layers are alike.
void note_coverage(const Trace& trace, const ReplayOptions& options, std::vector<std::string>& notes) {
  std::string last;
  for (const TraceLayer& layer : trace.layers) {
    if (layer.topk == 0) continue;
    const std::int64_t used = num_token_windows(layer, options) * window_tokens(options);
    if (used == layer.num_tokens()) continue;
    std::string text = fmt::format(
        "{} of {} recorded tokens are replayed in {} windows of {}; the others are left out (--windows all "
        "takes most)",
        used, layer.num_tokens(), num_token_windows(layer, options), window_tokens(options));
    if (text != last) notes.push_back(fmt::format("from layer {}: {}", layer.layer, text));
    last = std::move(text);
  }
}

std::string scale_text(const std::vector<ReplayRound>& rounds, std::int64_t selections) {
  const auto [least, most] =
      std::minmax_element(rounds.begin(), rounds.end(),
                          [](const ReplayRound& a, const ReplayRound& b) { return a.scale < b.scale; });
  if (least->scale == 1.0 && most->scale == 1.0) return "the recorded counts are realised exactly";
  const std::string scales = least->scale == most->scale
                                 ? fmt::format("{:.4g}", least->scale)
                                 : fmt::format("{:.4g} to {:.4g}", least->scale, most->scale);
  return fmt::format("counts are scaled by {} to {} selections a round and then realised exactly", scales,
                     selections);
}

void note_changes(const Trace& trace, const ReplayOptions& options, Replay& result) {
  const TraceLayer& first = trace.layers.front();
  std::vector<std::string>& notes = result.notes;
  if (first.topk == 0) {
    notes.push_back(scale_text(result.rounds, window_tokens(options) * options.topk) +
                    "; who sends what is drawn by the seed");
  } else if (first.topk_weights.empty()) {
    notes.push_back("no gate weights were recorded: every selection has 1 / top-k");
  }
}

}  // namespace

std::int64_t window_tokens(const ReplayOptions& options) {
  return std::accumulate(options.tokens_per_rank.begin(), options.tokens_per_rank.end(), std::int64_t{0});
}

ReplayRound make_round(const TraceLayer& layer, int window, int num_windows) {
  ReplayRound round;
  round.layer = layer.layer;
  round.window = window;
  round.label = num_windows == 1 ? fmt::format("layer {}", layer.layer)
                                 : fmt::format("layer {} window {}", layer.layer, window);
  return round;
}

Replay replay(const Trace& trace, const ReplayOptions& options) {
  EPSKEW_EXPECT(!trace.layers.empty() && !options.tokens_per_rank.empty());
  check_shape(trace, options);
  check_memory(trace, options);
  Replay result;
  for (const TraceLayer& layer : trace.layers) {
    if (layer.topk == 0) {
      replay_counts(layer, trace.num_experts, options, result.rounds);
    } else {
      replay_tokens(layer, trace.num_experts, options, result.rounds);
    }
  }
  note_coverage(trace, options, result.notes);
  note_changes(trace, options, result);
  return result;
}

std::optional<RoutingTable> own_routing(const Trace& trace) {
  if (trace.tokens_per_rank.empty()) return std::nullopt;
  ReplayOptions options;
  options.tokens_per_rank = trace.tokens_per_rank;
  return std::move(replay(trace, options).rounds.front().table);
}

}  // namespace epskew
