#pragma once

#include <vector>

#include "backends/cuda/plan.hpp"

namespace epskew::cuda {

/// Throws UsageError for a GPU that is not there.
void require_devices(const std::vector<int>& devices);

/// What every one of `devices` offers.
DeviceLimits smallest_limits(const std::vector<int>& devices);

}  // namespace epskew::cuda
