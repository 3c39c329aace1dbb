#pragma once

#include <string>
#include <vector>

#include "epskew/report/round_record.hpp"
#include "trace_flags.hpp"
#include "workload_flags.hpp"

namespace epskew::app {

/// A recording as rounds of `bench`.
struct ReplayedRounds {
  /// "uniform" and "1.0" of the recording's shape, to compare with, then one round a layer and window.
  std::vector<PlannedRound> rounds;
  std::vector<std::string> notes;  ///< of the reader and of the replay
};

/// Reads and replays the trace that the flags name. Throws UsageError as load_trace and load_replay do.
ReplayedRounds replayed_rounds(const TraceFlags& flags, const WorkloadFlags& workload);

}  // namespace epskew::app
