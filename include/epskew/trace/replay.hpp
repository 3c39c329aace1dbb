#pragma once

/// From a recording back to routing: windows of recorded tokens, or counts realised to the selection.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "epskew/routing/placement.hpp"
#include "epskew/routing/routing_table.hpp"
#include "epskew/trace/trace.hpp"

namespace epskew {

/// How the tokens of a window go to ranks. contiguous: the first tokens_per_rank[0] to rank 0 and so on, so
/// that neighbours in the recording (one sequence, say) share a rank, as in data-parallel serving.
/// round_robin: one to each rank in turn, ranks that are full left out.
enum class Deal { contiguous, round_robin };

struct ReplayOptions {
  std::vector<std::int32_t> tokens_per_rank;          ///< [R]; a window is their sum
  int topk = 8;                                       ///< of count traces, which do not say
  std::optional<int> windows = std::nullopt;          ///< at most so many a layer; unset: see replay
  Deal deal = Deal::contiguous;                       ///< of token traces
  std::optional<Placement> placement = std::nullopt;  ///< experts are renumbered by it; unset: contiguous
  std::uint64_t seed = 0;                             ///< of the realisation of count traces
};

struct ReplayRound {
  std::string label;  ///< "layer 3", or "layer 3 window 1" where a layer has several
  int layer = 0;
  int window = 0;
  double scale = 1.0;  ///< of count traces: see RealisedCounts
  RoutingTable table;
};

struct Replay {
  std::vector<ReplayRound> rounds;  ///< by layer, then window
  std::vector<std::string> notes;   ///< what is left out or changed, for the user
};

inline constexpr int all_windows = -1;

/// One routing a layer and window.
///
/// Token traces: recorded ids and weights (1 / top-k where none were recorded) of consecutive windows;
/// `windows` unset means one, all_windows as many as the tokens fill. Tokens beyond the windows are named in
/// the notes. Count traces: expert totals scaled to the window's selections by largest remainder, and then
/// exact; `windows` unset means the totals of the recording, a number its first steps, all_windows each of
/// its steps.
///
/// With trace.tokens_per_rank and nothing else set, a routing file is replayed as it was written.
///
/// Throws UsageError where experts do not divide among the ranks, a layer has fewer tokens or steps than
/// asked for, or a count trace gives an expert more than one selection a token.
Replay replay(const Trace& trace, const ReplayOptions& options);

/// The routing that a routing file holds, as it was written. Nullopt for other recordings.
std::optional<RoutingTable> own_routing(const Trace& trace);

}  // namespace epskew
