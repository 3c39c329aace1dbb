#pragma once

/// Durations of kernels by the CUDA profiler (CUPTI): the clock of torch.profiler, so other libraries'
/// kernels can be timed with the same.

#include <cstdint>
#include <string>
#include <vector>

namespace epskew {

struct ProfiledKernel {
  std::string name;  ///< mangled
  std::uint64_t start_ns = 0;
  double us = 0;
};

/// From now on kernels are recorded.
void start_profiling();
/// All kernels that have ended since start_profiling, in order of start; recording ends. The device must be
/// idle.
std::vector<ProfiledKernel> stop_profiling();

}  // namespace epskew
