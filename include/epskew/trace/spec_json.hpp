#pragma once

/// The "spec" of a routing file: JSON that says how to make it again.

#include <string>

#include "epskew/trace/replay.hpp"
#include "epskew/trace/trace.hpp"
#include "epskew/workload/generate.hpp"

namespace epskew {

/// Every field of the spec by its name, and what came out: distribution, parameters, feasible_max,
/// uniform_floor and the realised factor. Enumerators by their command-line names; unset fields are null.
std::string spec_json(const WorkloadSpec& spec, const Workload& workload);

/// Source, format, layer, window and realised factor of a replayed round.
std::string spec_json(const Trace& trace, const ReplayRound& round);

}  // namespace epskew
