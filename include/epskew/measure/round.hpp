#pragma once

/// One round: oracle before, timing, oracle after, on one routing.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "epskew/exchange/oracle.hpp"
#include "epskew/exchange/world.hpp"
#include "epskew/measure/samples.hpp"

namespace epskew {

/// One visit to a round. A round may be measured in several visits, so that others can take their turn
/// between them.
struct RoundPlan {
  std::string label;     ///< names the round in messages
  int warmup = 5;        ///< untimed iterations per timing mode and visit
  int iterations = 200;  ///< timed iterations per timing mode: the fewest that give a p99
  bool first_visit = true;
  bool last_visit = true;
  bool flush_cache = true;
  std::uint64_t seed = 0;
};

struct RoundResult {
  std::array<SampleMatrix, num_phases> phases;  ///< by Phase; empty where not measured
  /// By Phase: durations of the library's kernels alone, where something saw them; any number of iterations.
  std::array<SampleMatrix, num_phases> kernels;
  SampleMatrix misalignment;      ///< visits in order, in each the timing modes; start minus first start
  std::vector<MemoryUse> memory;  ///< [num_ranks]
  std::int64_t flush_bytes = 0;   ///< written by all processes together before every iteration
};

/// Collective over the world; the result is complete at the root and empty elsewhere. `table` must fit the
/// world's shape.
///
/// The oracle runs before and after the timing of every visit on random data, before that of the first and
/// after that of the last on exact data too, and on what the last timed dispatch and combine of every mode
/// delivered. Every mode times data of its own, which no operation before it delivered.
/// Throws WrongResult "round <label>, <when>: <first difference>" where it disagrees; so a result that is
/// returned was right.
RoundResult run_round(World& world, const RoutingTable& table, const RoundPlan& plan);

/// Adds the iterations of a later visit to those of `round`; memory and flushed bytes become the later ones.
void append_visit(RoundResult& round, RoundResult visit);

}  // namespace epskew
