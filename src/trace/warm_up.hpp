#pragma once

#include <cstdint>

#include "epskew/trace/trace.hpp"

namespace epskew {

/// Counts the token rows that stand in runs of at least warm_up_run rows with the same ids, and removes them
/// where `drop` is set.
std::int64_t handle_warm_up(TraceLayer& layer, bool drop);

}  // namespace epskew
