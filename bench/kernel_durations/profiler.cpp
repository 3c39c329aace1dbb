#include "kernel_durations/profiler.hpp"

#include <cupti.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>

#include "epskew/support/error.hpp"

namespace epskew {
namespace {

constexpr std::size_t buffer_bytes = 4u << 20;

/// CUPTI hands buffers over on threads of its own.
std::mutex recorded_mutex;
std::vector<ProfiledKernel> recorded;

void check(CUptiResult result, const char* call) {
  if (result == CUPTI_SUCCESS) return;
  const char* text = nullptr;
  cuptiGetResultString(result, &text);
  throw EnvironmentError(std::string(call) + " failed: " + (text != nullptr ? text : "unknown"));
}

void give_buffer(std::uint8_t** buffer, std::size_t* size, std::size_t* most_records) {
  *buffer = static_cast<std::uint8_t*>(std::aligned_alloc(8, buffer_bytes));
  *size = *buffer != nullptr ? buffer_bytes : 0;
  *most_records = 0;
}

void take_buffer(CUcontext, std::uint32_t, std::uint8_t* buffer, std::size_t, std::size_t valid) {
  const std::lock_guard lock(recorded_mutex);
  CUpti_Activity* record = nullptr;
  while (cuptiActivityGetNextRecord(buffer, valid, &record) == CUPTI_SUCCESS) {
    if (record->kind != CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL && record->kind != CUPTI_ACTIVITY_KIND_KERNEL)
      continue;
    const auto* kernel = reinterpret_cast<const CUpti_ActivityKernel10*>(record);
    recorded.push_back({kernel->name, kernel->start, static_cast<double>(kernel->end - kernel->start) / 1e3});
  }
  std::free(buffer);
}

}  // namespace

void start_profiling() {
  recorded.clear();
  check(cuptiActivityRegisterCallbacks(give_buffer, take_buffer), "cuptiActivityRegisterCallbacks");
  check(cuptiActivityEnable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL), "cuptiActivityEnable");
}

std::vector<ProfiledKernel> stop_profiling() {
  check(cuptiActivityFlushAll(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED), "cuptiActivityFlushAll");
  check(cuptiActivityDisable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL), "cuptiActivityDisable");
  const std::lock_guard lock(recorded_mutex);
  std::vector<ProfiledKernel> kernels;
  kernels.swap(recorded);
  std::sort(kernels.begin(), kernels.end(),
            [](const ProfiledKernel& a, const ProfiledKernel& b) { return a.start_ns < b.start_ns; });
  return kernels;
}

}  // namespace epskew
