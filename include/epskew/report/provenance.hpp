#pragma once

/// Where a result comes from: machine, system, libraries and build.

#include "epskew/report/record.hpp"

namespace epskew {

/// The version of this library, e.g. "0.1.0".
const char* library_version();

/// Fills tool, created (now), host, cpu, gpu, driver, libraries and build of `record`.
void add_provenance(Record& record);

/// steady_clock and the smallest step between two of its readings, found by reading it a thousand times.
ClockRecord describe_steady_clock();

}  // namespace epskew
