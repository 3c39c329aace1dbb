#pragma once

#include <cstdint>

#include "epskew/workload/spec.hpp"

namespace epskew {

/// Throws UsageError for a spec whose shape makes no sense or whose routing would not fit into memory;
/// nothing large has been allocated by then.
void check_shape(const WorkloadSpec& spec);

}  // namespace epskew
