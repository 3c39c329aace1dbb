#include "backends/cuda/combine.cuh"
#include "backends/cuda/dispatch.cuh"
#include "backends/cuda/kernels.hpp"

namespace epskew::cuda {
namespace {

/// Runs `body` for this block's rank and stamps its begin and end.
template <class Body>
__device__ inline void run_rank(const Launch& launch, Body body) {
  const int nth = static_cast<int>(blockIdx.x) / launch.blocks_per_rank;
  const RankCtx ctx{launch, launch.first_rank + nth, static_cast<int>(blockIdx.x) % launch.blocks_per_rank,
                    launch.blocks_per_rank};
  const bool stamps = launch.stamps != nullptr && threadIdx.x == 0;
  const std::uint64_t begin = stamps ? now_ns() : 0;
  if (!launch.stopped.has(ctx.rank) && !launch.lost.has(ctx.rank)) body(ctx);
  if (launch.stamps == nullptr) return;
  __syncthreads();
  if (stamps) launch.stamps[blockIdx.x] = {begin, now_ns()};
}

template <bool fp8, Carry carry>
__global__ void __launch_bounds__(block_threads, blocks_per_sm)
    dispatch_kernel(const __grid_constant__ Launch launch) {
  extern __shared__ int shared_memory[];
  run_rank(launch, [&](const RankCtx& ctx) { dispatch<fp8, carry>(ctx, shared_memory); });
}

template <Reduction way>
__global__ void __launch_bounds__(block_threads, blocks_per_sm)
    combine_kernel(const __grid_constant__ Launch launch) {
  extern __shared__ Contribution contributions[];
  run_rank(launch, [&](const RankCtx& ctx) { combine<way>(ctx, contributions); });
}

/// Reads without writing, so that no dirty line is left behind for the measured kernel to evict.
__global__ void flush_kernel(const uint4* memory, std::size_t words, std::uint32_t* sink) {
  const std::size_t step = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  std::uint32_t seen = 0;
  for (std::size_t i = blockIdx.x * static_cast<std::size_t>(blockDim.x) + threadIdx.x; i < words;
       i += step) {
    const uint4 v = load_row(memory + i);
    seen |= v.x | v.y | v.z | v.w;
  }
  if (seen != 0) *sink = seen;
}

using Kernel = void (*)(Launch);
/// [Carry][fp8]
constexpr Kernel dispatch_kernels[3][2] = {
    {dispatch_kernel<false, Carry::rows>, dispatch_kernel<true, Carry::rows>},
    {dispatch_kernel<false, Carry::rows_and_headers>, dispatch_kernel<true, Carry::rows_and_headers>},
    {dispatch_kernel<false, Carry::messages>, dispatch_kernel<true, Carry::messages>}};
/// By Reduction.
constexpr Kernel combine_kernels[] = {combine_kernel<Reduction::pull>, combine_kernel<Reduction::coded>,
                                      combine_kernel<Reduction::push>, combine_kernel<Reduction::prereduce>};

Reduction reduction_of(const KernelFormats& formats) {
  switch (formats.algorithms.combine) {
    case CombineAlgorithm::push:
      return Reduction::push;
    case CombineAlgorithm::prereduce:
      return Reduction::prereduce;
    case CombineAlgorithm::pull:
      break;
  }
  return formats.logfmt ? Reduction::coded : Reduction::pull;
}

Kernel kernel_of(Operation operation, const KernelFormats& formats) {
  if (operation == Operation::combine) return combine_kernels[static_cast<int>(reduction_of(formats))];
  const Carry carry = formats.algorithms.dispatch == DispatchAlgorithm::dedup ? Carry::messages
                      : formats.algorithms.headers()                          ? Carry::rows_and_headers
                                                                              : Carry::rows;
  return dispatch_kernels[static_cast<int>(carry)][formats.fp8 ? 1 : 0];
}

}  // namespace

cudaError_t launch(Operation operation, KernelFormats formats, const Grid& grid, const Launch& arguments,
                   cudaStream_t stream) {
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeCooperative;
  attribute.val.cooperative = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(grid.blocks));
  config.blockDim = dim3(static_cast<unsigned>(grid.threads));
  config.dynamicSmemBytes = grid.shared_bytes;
  config.stream = stream;
  config.attrs = &attribute;
  config.numAttrs = grid.cooperative ? 1 : 0;
  return cudaLaunchKernelEx(&config, kernel_of(operation, formats), arguments);
}

namespace {

/// The same division of L1 for every kernel: a multiprocessor that has to change it first waits until it is
/// empty.
template <class AnyKernel>
cudaError_t use_largest_carveout(AnyKernel kernel) {
  return cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout,
                              cudaSharedmemCarveoutMaxShared);
}

}  // namespace

cudaError_t prepare_kernels(std::size_t shared_bytes, const KernelFormats& formats) {
  for (const Operation operation : {Operation::dispatch, Operation::combine}) {
    const Kernel kernel = kernel_of(operation, formats);
    const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                   static_cast<int>(shared_bytes));
    if (error != cudaSuccess) return error;
    const cudaError_t carveout_error = use_largest_carveout(kernel);
    if (carveout_error != cudaSuccess) return carveout_error;
  }
  return use_largest_carveout(flush_kernel);
}

cudaError_t flush_cache(void* memory, std::size_t bytes, cudaStream_t stream) {
  flush_kernel<<<264, 1024, 0, stream>>>(static_cast<const uint4*>(memory), bytes / sizeof(uint4),
                                         static_cast<std::uint32_t*>(memory));
  return cudaGetLastError();
}

}  // namespace epskew::cuda
