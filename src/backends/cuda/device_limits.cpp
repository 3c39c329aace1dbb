#include "backends/cuda/device_limits.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "backends/cuda/device.hpp"
#include "epskew/support/error.hpp"

namespace epskew::cuda {
namespace {

DeviceLimits limits_of(int device) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
  check(cudaSetDevice(device), "cudaSetDevice");
  std::size_t free_bytes = 0;
  std::size_t total_bytes = 0;
  check(cudaMemGetInfo(&free_bytes, &total_bytes), "cudaMemGetInfo");
  return {properties.multiProcessorCount, properties.sharedMemPerBlockOptin,
          properties.sharedMemPerMultiprocessor, free_bytes};
}

}  // namespace

void require_devices(const std::vector<int>& devices) {
  int count = 0;
  check(cudaGetDeviceCount(&count), "cudaGetDeviceCount");
  for (const int device : devices) {
    if (device < count) continue;
    throw UsageError(fmt::format(
        "variant devices names GPU {}, which does not exist (there are {}); correct it", device, count));
  }
}

DeviceLimits smallest_limits(const std::vector<int>& devices) {
  DeviceLimits least = limits_of(devices.front());
  for (const int device : devices) {
    const DeviceLimits limits = limits_of(device);
    least.multiprocessors = std::min(least.multiprocessors, limits.multiprocessors);
    least.shared_bytes_per_block = std::min(least.shared_bytes_per_block, limits.shared_bytes_per_block);
    least.shared_bytes_per_multiprocessor =
        std::min(least.shared_bytes_per_multiprocessor, limits.shared_bytes_per_multiprocessor);
    least.memory_bytes = std::min(least.memory_bytes, limits.memory_bytes);
  }
  return least;
}

}  // namespace epskew::cuda
