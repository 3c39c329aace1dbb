#pragma once

#include <vector>

#include "epskew/trace/replay.hpp"

namespace epskew {

/// The rounds of one layer; what replay() promises for token traces and for count traces.
void replay_tokens(const TraceLayer& layer, int num_experts, const ReplayOptions& options,
                   std::vector<ReplayRound>& rounds);
void replay_counts(const TraceLayer& layer, int num_experts, const ReplayOptions& options,
                   std::vector<ReplayRound>& rounds);

/// Label, layer and window; the table is still empty.
ReplayRound make_round(const TraceLayer& layer, int window, int num_windows);

/// Sum of tokens_per_rank.
std::int64_t window_tokens(const ReplayOptions& options);

/// How many windows of a token layer are replayed. Throws UsageError where it has fewer.
int num_token_windows(const TraceLayer& layer, const ReplayOptions& options);

/// How many rounds a count layer has: one, or so many of its steps. Throws UsageError where it has fewer.
int num_count_rounds(const TraceLayer& layer, const ReplayOptions& options);

}  // namespace epskew
