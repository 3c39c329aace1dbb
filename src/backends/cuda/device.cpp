#include "backends/cuda/device.hpp"

#include <fmt/format.h>

#include "epskew/support/error.hpp"

namespace epskew::cuda {

void check(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return;
  throw EnvironmentError(
      fmt::format("{} failed: {} ({})", call, cudaGetErrorString(error), cudaGetErrorName(error)));
}

}  // namespace epskew::cuda
