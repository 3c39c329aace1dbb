#include <fmt/format.h>

#include <algorithm>

#include "epskew/support/error.hpp"
#include "epskew/workload/replay.hpp"
#include "trace/replay_steps.hpp"

namespace epskew {
namespace {

/// The counts that each round of the layer realises.
std::vector<std::vector<std::int64_t>> rounds_of(const TraceLayer& layer, const ReplayOptions& options) {
  if (!options.windows || layer.steps.empty()) return {layer.counts};
  return {layer.steps.begin(), layer.steps.begin() + num_count_rounds(layer, options)};
}

std::vector<std::int64_t> placed(const std::vector<std::int64_t>& counts, const ReplayOptions& options) {
  if (!options.placement) return counts;
  std::vector<std::int64_t> by_slot(counts.size());
  for (std::size_t e = 0; e < counts.size(); ++e)
    by_slot[static_cast<std::size_t>(options.placement->slot_of_expert[e])] = counts[e];
  return by_slot;
}

RealisedCounts realised(const TraceLayer& layer, const std::vector<std::int64_t>& counts,
                        const ReplayOptions& options) {
  try {
    return realise_expert_counts(options.tokens_per_rank, options.topk, counts, options.seed);
  } catch (const UsageError& error) {
    throw UsageError(fmt::format("layer {}: {}", layer.layer, error.what()));
  }
}

}  // namespace

int num_count_rounds(const TraceLayer& layer, const ReplayOptions& options) {
  const auto steps = static_cast<int>(std::max<std::size_t>(1, layer.steps.size()));
  const int wanted = options.windows.value_or(1) == all_windows ? steps : options.windows.value_or(1);
  if (wanted > steps) {
    throw UsageError(
        fmt::format("layer {} was recorded in {} steps ({} windows were asked for); choose fewer windows",
                    layer.layer, steps, wanted));
  }
  return wanted;
}

void replay_counts(const TraceLayer& layer, int num_experts, const ReplayOptions& options,
                   std::vector<ReplayRound>& rounds) {
  if (options.topk > num_experts) {
    throw UsageError(
        fmt::format("--num-topk {} is more than the {} experts of the trace (the experts of a token are "
                    "distinct); choose at most {}",
                    options.topk, num_experts, num_experts));
  }
  const auto counts = rounds_of(layer, options);
  for (std::size_t window = 0; window < counts.size(); ++window) {
    ReplayRound round = make_round(layer, static_cast<int>(window), static_cast<int>(counts.size()));
    RealisedCounts made = realised(layer, placed(counts[window], options), options);
    round.scale = made.scale;
    round.table = std::move(made.table);
    rounds.push_back(std::move(round));
  }
}

}  // namespace epskew
