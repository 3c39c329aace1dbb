#include <fmt/format.h>

#include <algorithm>

#include "epskew/support/error.hpp"
#include "trace/replay_steps.hpp"

namespace epskew {
namespace {

/// [window_tokens]: which token of a window is the i-th of the routing table (tokens ordered by rank).
std::vector<std::int64_t> dealt_order(const ReplayOptions& options) {
  const std::int64_t tokens = window_tokens(options);
  std::vector<std::vector<std::int64_t>> of_rank(options.tokens_per_rank.size());
  std::size_t rank = 0;
  const auto is_full = [&](std::size_t r) {
    return static_cast<std::int64_t>(of_rank[r].size()) >= options.tokens_per_rank[r];
  };
  for (std::int64_t token = 0; token < tokens; ++token) {
    while (is_full(rank)) rank = (rank + 1) % of_rank.size();
    of_rank[rank].push_back(token);
    if (options.deal == Deal::round_robin) rank = (rank + 1) % of_rank.size();
  }
  std::vector<std::int64_t> order;
  for (const auto& of_one : of_rank) order.insert(order.end(), of_one.begin(), of_one.end());
  return order;
}

void append_token(const TraceLayer& layer, std::size_t token, const ReplayOptions& options,
                  RoutingTable& table) {
  const auto width = static_cast<std::size_t>(layer.topk);
  const float equal_weight = 1.0f / static_cast<float>(layer.topk);
  for (std::size_t entry = token * width; entry < (token + 1) * width; ++entry) {
    const std::int32_t expert = layer.topk_idx[entry];
    const bool is_placed = expert >= 0 && options.placement.has_value();
    table.topk_idx.push_back(is_placed ? options.placement->slot_of_expert[static_cast<std::size_t>(expert)]
                                       : expert);
    table.topk_weights.push_back(!layer.topk_weights.empty() ? layer.topk_weights[entry]
                                 : expert < 0                ? 0.0f
                                                             : equal_weight);
  }
}

}  // namespace

int num_token_windows(const TraceLayer& layer, const ReplayOptions& options) {
  const std::int64_t there = layer.num_tokens() / window_tokens(options);
  const std::int64_t wanted = options.windows.value_or(1) == all_windows ? std::max<std::int64_t>(1, there)
                                                                         : options.windows.value_or(1);
  if (wanted > there) {
    throw UsageError(fmt::format(
        "layer {} has {} recorded tokens ({} windows of {} tokens need {}); choose fewer windows or tokens a "
        "rank",
        layer.layer, layer.num_tokens(), wanted, window_tokens(options), wanted * window_tokens(options)));
  }
  return static_cast<int>(wanted);
}

void replay_tokens(const TraceLayer& layer, int num_experts, const ReplayOptions& options,
                   std::vector<ReplayRound>& rounds) {
  const std::vector<std::int64_t> order = dealt_order(options);
  const int windows = num_token_windows(layer, options);
  for (int window = 0; window < windows; ++window) {
    ReplayRound round = make_round(layer, window, windows);
    round.table.num_experts = num_experts;
    round.table.topk = layer.topk;
    round.table.tokens_per_rank = options.tokens_per_rank;
    const std::int64_t first = window * window_tokens(options);
    for (const std::int64_t token : order)
      append_token(layer, static_cast<std::size_t>(first + token), options, round.table);
    rounds.push_back(std::move(round));
  }
}

}  // namespace epskew
