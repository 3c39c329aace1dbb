#include <algorithm>
#include <span>

#include "backends/cuda/combine.cuh"
#include "backends/cuda/dispatch.cuh"
#include "backends/cuda/kernels.hpp"

namespace epskew::cuda {
namespace {

/// Runs `body` for this block's rank and stamps its begin and end.
template <class Body>
__device__ inline void run_rank(const Launch& launch, Body body) {
  const RankCtx ctx{launch, launch.first_rank + static_cast<int>(blockIdx.y), static_cast<int>(blockIdx.x),
                    launch.blocks_per_rank};
  const bool stamps = launch.stamps != nullptr && threadIdx.x == 0;
  // Written at once: kept until the end it would cost the body two registers.
  Stamp* stamp = launch.stamps + (blockIdx.y * gridDim.x + blockIdx.x);
  if (stamps) stamp->begin = now_ns();
  if (launch.all_take_part || (!launch.stopped.has(ctx.rank) && !launch.lost.has(ctx.rank))) body(ctx);
  if (launch.stamps == nullptr) return;
  __syncthreads();
  if (stamps) launch.stamps[blockIdx.y * gridDim.x + blockIdx.x].end = now_ns();
}

/// Rows are sent by one block a multiprocessor (make_plan), which may have all its registers.
constexpr int resident_blocks(Carry carry) {
  return carry == Carry::messages ? blocks_per_sm : 1;
}

template <bool fp8, Carry carry, unsigned compiled>
__global__ void __launch_bounds__(block_threads, resident_blocks(carry))
    dispatch_kernel(const __grid_constant__ Launch launch) {
  extern __shared__ int shared_memory[];
  run_rank(launch, [&](const RankCtx& ctx) { dispatch<fp8, carry, compiled>(ctx, shared_memory); });
}

template <Reduction way, unsigned compiled>
__global__ void __launch_bounds__(block_threads, blocks_per_sm)
    combine_kernel(const __grid_constant__ Launch launch) {
  extern __shared__ Contribution contributions[];
  run_rank(launch, [&](const RankCtx& ctx) { combine<way, compiled>(ctx, contributions); });
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
/// A kernel for each phase that the lockstep driver launches alone, so that such a launch fetches no code but
/// its own, and one for any phases together.
constexpr unsigned dispatch_phases[] = {any_phases, phase_counts, phase_send, phase_recv};
template <bool fp8, Carry carry>
constexpr Kernel dispatch_kernels[] = {
    dispatch_kernel<fp8, carry, any_phases>, dispatch_kernel<fp8, carry, phase_counts>,
    dispatch_kernel<fp8, carry, phase_send>, dispatch_kernel<fp8, carry, phase_recv>};
constexpr unsigned combine_phases[] = {any_phases, phase_send, phase_recv};
template <Reduction way>
constexpr Kernel combine_kernels[] = {combine_kernel<way, any_phases>, combine_kernel<way, phase_send>,
                                      combine_kernel<way, phase_recv>};

/// Kernels and the phases each is compiled for.
struct Kernels {
  std::span<const Kernel> kernels;
  std::span<const unsigned> phases;

  Kernel of(unsigned launched) const {
    const auto exact = std::find(phases.begin(), phases.end(), launched);
    return kernels[exact != phases.end() ? static_cast<std::size_t>(exact - phases.begin()) : 0];
  }
};

template <Carry carry>
Kernels dispatch_kernels_of(bool fp8) {
  if (fp8) return {dispatch_kernels<true, carry>, dispatch_phases};
  return {dispatch_kernels<false, carry>, dispatch_phases};
}

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

Kernels combine_kernels_of(Reduction way) {
  switch (way) {
    case Reduction::coded:
      return {combine_kernels<Reduction::coded>, combine_phases};
    case Reduction::push:
      return {combine_kernels<Reduction::push>, combine_phases};
    case Reduction::prereduce:
      return {combine_kernels<Reduction::prereduce>, combine_phases};
    case Reduction::pull:
      break;
  }
  return {combine_kernels<Reduction::pull>, combine_phases};
}

Kernels kernels_of(Operation operation, const KernelFormats& formats) {
  if (operation == Operation::combine) return combine_kernels_of(reduction_of(formats));
  if (formats.algorithms.dispatch == DispatchAlgorithm::dedup)
    return dispatch_kernels_of<Carry::messages>(formats.fp8);
  if (formats.algorithms.headers()) return dispatch_kernels_of<Carry::rows_and_headers>(formats.fp8);
  return dispatch_kernels_of<Carry::rows>(formats.fp8);
}

}  // namespace

cudaError_t launch(Operation operation, KernelFormats formats, const Grid& grid, const Launch& arguments,
                   cudaStream_t stream) {
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeCooperative;
  attribute.val.cooperative = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(grid.blocks_per_rank), static_cast<unsigned>(grid.ranks));
  config.blockDim = dim3(static_cast<unsigned>(grid.threads));
  config.dynamicSmemBytes = grid.shared_bytes;
  config.stream = stream;
  config.attrs = &attribute;
  config.numAttrs = grid.cooperative ? 1 : 0;
  return cudaLaunchKernelEx(&config, kernels_of(operation, formats).of(arguments.phases), arguments);
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
    for (const Kernel kernel : kernels_of(operation, formats).kernels) {
      const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                     static_cast<int>(shared_bytes));
      if (error != cudaSuccess) return error;
      const cudaError_t carveout_error = use_largest_carveout(kernel);
      if (carveout_error != cudaSuccess) return carveout_error;
    }
  }
  return use_largest_carveout(flush_kernel);
}

cudaError_t flush_cache(void* memory, std::size_t bytes, cudaStream_t stream) {
  flush_kernel<<<264, 1024, 0, stream>>>(static_cast<const uint4*>(memory), bytes / sizeof(uint4),
                                         static_cast<std::uint32_t*>(memory));
  return cudaGetLastError();
}

}  // namespace epskew::cuda
