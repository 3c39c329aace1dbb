#pragma once

/// The kernels as host calls.

#include <cuda_runtime_api.h>

#include <cstddef>

#include "backends/cuda/launch.hpp"

namespace epskew::cuda {

/// How one launch is placed on the device.
struct Grid {
  int blocks_per_rank = 1;
  int ranks = 1;
  int threads = block_threads;   ///< a block
  std::size_t shared_bytes = 0;  ///< dynamic, a block
  bool cooperative = false;  ///< ranks wait for each other inside the launch, so all blocks must be resident
};

enum class Operation { dispatch, combine };

/// What a kernel is compiled for.
struct KernelFormats {
  bool fp8 = true;      ///< of dispatch
  bool logfmt = false;  ///< of combine
  Algorithms algorithms;
};

/// Starts one launch on `stream`. Returns the launch error, if any.
cudaError_t launch(Operation operation, KernelFormats formats, const Grid& grid, const Launch& arguments,
                   cudaStream_t stream);
/// Lets the kernels of `formats` use `shared_bytes`, and loads them now rather than during a timed or
/// spinning launch.
cudaError_t prepare_kernels(std::size_t shared_bytes, const KernelFormats& formats);
/// Reads `bytes` of zeros at `memory`, so that L2 holds nothing of the exchange.
cudaError_t flush_cache(void* memory, std::size_t bytes, cudaStream_t stream);

}  // namespace epskew::cuda
