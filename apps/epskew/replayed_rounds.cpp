#include "replayed_rounds.hpp"

#include <algorithm>

#include "epskew/report/session.hpp"
#include "epskew/workload/uniform_floor.hpp"

namespace epskew::app {
namespace {

/// The recording's shape without masking, for the rounds that replays are compared with.
WorkloadSpec shape_spec(const RoutingTable& table, std::uint64_t seed) {
  WorkloadSpec spec;
  spec.num_experts = table.num_experts;
  spec.topk = table.topk;
  spec.tokens_per_rank = table.tokens_per_rank;
  spec.seed = seed;
  return spec;
}

PlannedRound planned(ReplayRound replayed, const WorkloadSpec& spec, double feasible_max) {
  PlannedRound round;
  round.label = replayed.label;
  round.workload.distribution = "trace";
  round.workload.parameters = {{"layer", replayed.layer}, {"window", replayed.window}};
  round.workload.seed = spec.seed;
  round.workload.feasible_max = feasible_max;
  const auto& ids = replayed.table.topk_idx;
  round.workload.uniform_floor =
      uniform_floor(spec, std::count_if(ids.begin(), ids.end(), [](std::int32_t id) { return id >= 0; }));
  round.workload.table = std::move(replayed.table);
  return round;
}

}  // namespace

ReplayedRounds replayed_rounds(const TraceFlags& flags, const WorkloadFlags& workload) {
  const Trace trace = load_trace(flags, workload);
  Replay replay = load_replay(trace, flags, workload);
  const WorkloadSpec spec = shape_spec(replay.rounds.front().table, workload.seed);
  ReplayedRounds result;
  result.rounds = base_rounds(spec);
  const double feasible_max = result.rounds.front().workload.feasible_max;
  for (ReplayRound& round : replay.rounds)
    result.rounds.push_back(planned(std::move(round), spec, feasible_max));
  result.notes = trace.notes;
  result.notes.insert(result.notes.end(), replay.notes.begin(), replay.notes.end());
  return result;
}

}  // namespace epskew::app
