#pragma once

#include "epskew/workload/spec.hpp"

namespace epskew {

/// Throws UsageError for a spec whose shape makes no sense or whose routing and load matrices would not fit
/// into memory; nothing large has been allocated by then.
void check_shape(const WorkloadSpec& spec);

}  // namespace epskew
