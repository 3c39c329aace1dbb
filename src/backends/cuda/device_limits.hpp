#pragma once

#include <vector>

#include "backends/cuda/plan.hpp"

namespace epskew::cuda {

/// What every one of `devices` offers.
DeviceLimits smallest_limits(const std::vector<int>& devices);

}  // namespace epskew::cuda
