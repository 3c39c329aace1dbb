#pragma once

/// Combine, algorithm "pull": expert outputs stay where the experts wrote them; the owner of a token reads
/// the rows of its selections, from whichever rank, adds them in top-k order in f32 and rounds once.

#include "backends/cuda/formats.cuh"
#include "backends/cuda/signal.cuh"

namespace epskew::cuda {

/// One selection of a token: where its expert's output is, and its weight.
struct Contribution {
  const char* row;  ///< null where masked
  float weight;
};

/// Tells every peer that this rank's expert outputs are in place. They were written before this launch began.
__device__ inline void signal_outputs(const RankCtx& ctx) {
  maybe_delay(ctx, 4);
  for (int peer = threadIdx.x; peer < ctx.launch.num_ranks; peer += blockDim.x) {
    if (peer == ctx.rank) continue;
    std::uint64_t* flags = ctx.theirs<std::uint64_t>(peer, ctx.launch.offsets.combine_flags);
    store_flag(flags + ctx.rank * (flag_stride / sizeof(std::uint64_t)), ctx.launch.epoch,
               ctx.launch.one_device);
  }
}

__device__ inline bool await_outputs(const RankCtx& ctx) {
  bool ok = true;
  // Counted from the last thread: the first ones are busy with the contributions.
  for (int source = blockDim.x - 1 - threadIdx.x; source < ctx.launch.num_ranks; source += blockDim.x) {
    if (source == ctx.rank) continue;
    const std::uint64_t* flag = ctx.mine<const std::uint64_t>(ctx.launch.offsets.combine_flags) +
                                source * (flag_stride / sizeof(std::uint64_t));
    ok = wait_until(ctx, WaitKind::combine_data,
                    [&](int& awaited) {
                      awaited = source;
                      return load_flag(flag, ctx.launch.one_device) >= ctx.launch.epoch;
                    }) &&
         ok;
  }
  return __syncthreads_and(ok);
}

__device__ inline void list_contributions(const RankCtx& ctx, const Share& share,
                                          Contribution* contributions) {
  const Launch& launch = ctx.launch;
  const int first = share.token0 * launch.topk;
  const int own = (share.token1 - share.token0) * launch.topk;
  for (int i = threadIdx.x; i < own; i += blockDim.x) {
    const int row = ctx.mine<const int>(launch.offsets.sent_rows)[first + i];
    const int e = __ldg(ctx.mine<const int>(launch.offsets.topk) + first + i);
    const float weight = __ldg(ctx.mine<const float>(launch.offsets.weights) + first + i);
    const char* base =
        e >= 0 ? ctx.theirs<const char>(e / launch.experts_per_rank, launch.offsets.expert_out) : nullptr;
    contributions[i] = {e >= 0 ? base + 2ull * static_cast<std::uint64_t>(row) * launch.hidden : nullptr,
                        weight};
  }
}

/// Sums eight channels of one token over its selections.
__device__ inline void reduce_channels(const RankCtx& ctx, const Contribution* contributions, int channel,
                                       float (&acc)[8]) {
  constexpr int batch = 8;  // rows in flight a lane
  for (int k0 = 0; k0 < ctx.launch.topk; k0 += batch) {
    uint4 values[batch];
    float weights[batch];
#pragma unroll
    for (int i = 0; i < batch; ++i) {
      const Contribution c = k0 + i < ctx.launch.topk ? contributions[k0 + i] : Contribution{nullptr, 0.0f};
      values[i] = c.row != nullptr ? load_row(c.row + 2 * channel) : make_uint4(0, 0, 0, 0);
      weights[i] = c.row != nullptr ? c.weight : 0.0f;
    }
#pragma unroll
    for (int i = 0; i < batch; ++i) accumulate(acc, weights[i], values[i]);
  }
}

__device__ inline void combine(const RankCtx& ctx, Contribution* contributions) {
  const Launch& launch = ctx.launch;
  if ((launch.phases & phase_send) != 0 && ctx.block == 0) signal_outputs(ctx);
  if ((launch.phases & phase_recv) == 0) return;
  const Share share(ctx, combine_span);
  list_contributions(ctx, share, contributions);
  maybe_delay(ctx, 5);
  if (!await_outputs(ctx)) return;
  const int warps = blockDim.x / warp_size;
  const int lane = threadIdx.x % warp_size;
  for (int item = share.items.first + static_cast<int>(threadIdx.x) / warp_size; item < share.items.last;
       item += warps) {
    const int token = item / share.spans;
    const int channel = (item - token * share.spans) * combine_span + 8 * lane;
    if (channel >= launch.hidden) continue;
    float acc[8] = {};
    reduce_channels(ctx, contributions + (token - share.token0) * launch.topk, channel, acc);
    char* out = ctx.mine<char>(launch.offsets.combined);
    store_row(out + 2ull * (static_cast<std::uint64_t>(token) * launch.hidden + channel), round_to_bf16(acc));
  }
}

}  // namespace epskew::cuda
