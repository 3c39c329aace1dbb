#include <fmt/format.h>

#include <algorithm>

#include "epskew/support/error.hpp"
#include "epskew/workload/replay.hpp"
#include "trace/replay_steps.hpp"

namespace epskew {
namespace {

/// The counts that each round of the layer realises.
std::vector<std::vector<std::int64_t>> rounds_of(const TraceLayer& layer, const ReplayOptions& options) {
  if (!options.windows) return {layer.counts};
  const std::vector<std::vector<std::int64_t>> total = {layer.counts};
  const std::vector<std::vector<std::int64_t>>& steps = layer.steps.empty() ? total : layer.steps;
  if (*options.windows == all_windows) return steps;
  if (*options.windows > static_cast<int>(steps.size())) {
    throw UsageError(
        fmt::format("layer {} was recorded in {} steps ({} windows were asked for); choose fewer windows",
                    layer.layer, steps.size(), *options.windows));
  }
  return {steps.begin(), steps.begin() + *options.windows};
}

std::vector<std::int64_t> placed(const std::vector<std::int64_t>& counts, const ReplayOptions& options) {
  if (!options.placement) return counts;
  std::vector<std::int64_t> by_slot(counts.size());
  for (std::size_t e = 0; e < counts.size(); ++e)
    by_slot[static_cast<std::size_t>(options.placement->slot_of_expert[e])] = counts[e];
  return by_slot;
}

RoutingTable realised(const TraceLayer& layer, const std::vector<std::int64_t>& counts,
                      const ReplayOptions& options) {
  try {
    return realise_expert_counts(options.tokens_per_rank, options.topk, counts, options.seed).table;
  } catch (const UsageError& error) {
    throw UsageError(fmt::format("layer {}: {}", layer.layer, error.what()));
  }
}

}  // namespace

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
    round.table = realised(layer, placed(counts[window], options), options);
    rounds.push_back(std::move(round));
  }
}

}  // namespace epskew
