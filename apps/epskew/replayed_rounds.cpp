#include "replayed_rounds.hpp"

#include "epskew/report/session.hpp"
#include "epskew/workload/recorded.hpp"

namespace epskew::app {
namespace {

PlannedRound planned(ReplayRound replayed, std::uint64_t seed) {
  PlannedRound round;
  round.label = replayed.label;
  round.workload = recorded_workload(std::move(replayed.table), "trace", seed);
  round.workload.parameters = {{"layer", replayed.layer}, {"window", replayed.window}};
  return round;
}

}  // namespace

ReplayedRounds replayed_rounds(const TraceFlags& flags, const WorkloadFlags& workload) {
  const Trace trace = load_trace(flags, workload);
  Replay replay = load_replay(trace, flags, workload);
  // What replays are compared with: the recording's shape, without masking.
  WorkloadSpec plain = shape_spec(replay.rounds.front().table);
  plain.seed = workload.seed;
  ReplayedRounds result;
  result.rounds = base_rounds(plain);
  for (ReplayRound& round : replay.rounds) result.rounds.push_back(planned(std::move(round), workload.seed));
  result.notes = trace.notes;
  result.notes.insert(result.notes.end(), replay.notes.begin(), replay.notes.end());
  return result;
}

}  // namespace epskew::app
