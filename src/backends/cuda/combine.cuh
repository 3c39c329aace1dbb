#pragma once

/// Combine, algorithm "pull": expert outputs stay where the experts wrote them; the owner of a token reads
/// the rows of its selections, from whichever rank, adds them in top-k order in f32 and rounds once.

#include "backends/cuda/formats.cuh"
#include "backends/cuda/logfmt.cuh"
#include "backends/cuda/signal.cuh"

namespace epskew::cuda {

/// One selection of a token: where its expert's output is, and its weight.
struct Contribution {
  const char* row;  ///< null where masked
  float weight;
};

/// Codes the rows this rank received, for peers to read; rows are spread over all warps of the rank.
__device__ inline void encode_outputs(const RankCtx& ctx) {
  const Launch& launch = ctx.launch;
  const int spans = (launch.hidden + combine_span - 1) / combine_span;
  const int rows = ctx.mine<const int>(launch.offsets.expert_begin)[launch.experts_per_rank];
  const Items items = items_of_block(ctx, rows * spans);
  const int lane = threadIdx.x % warp_size;
  const int warps = blockDim.x / warp_size;
  for (int item = items.first + static_cast<int>(threadIdx.x) / warp_size; item < items.last; item += warps) {
    const std::uint64_t row = item / spans;
    const int channel = item % spans * combine_span + 8 * lane;
    const char* in = ctx.mine<const char>(launch.offsets.expert_out) + 2 * (row * launch.hidden + channel);
    const uint4 values = channel < launch.hidden ? load_row(in) : make_uint4(0, 0, 0, 0);
    logfmt_store(ctx.mine<char>(launch.offsets.encoded) + row * launch.encoded_stride, launch.hidden, channel,
                 values);
  }
}

/// Tells every peer that this rank's outputs are in place: bf16 rows since before the launch, so one block
/// says so; coded rows when every block has said so, and then the rank itself is told too.
template <bool coded>
__device__ inline void signal_outputs(const RankCtx& ctx) {
  if (!coded && ctx.block != 0) return;
  __syncthreads();
  maybe_delay(ctx, 4);
  const std::uint64_t share = coded ? share_of_unit(ctx) : flag_unit;
  for (int peer = threadIdx.x; peer < ctx.launch.num_ranks; peer += blockDim.x) {
    if (!coded && peer == ctx.rank) continue;
    std::uint64_t* flags = ctx.theirs<std::uint64_t>(peer, ctx.launch.offsets.combine_flags);
    add_flag(flags + ctx.rank * (flag_stride / sizeof(std::uint64_t)), share, ctx.launch.one_device);
  }
}

template <bool coded>
__device__ inline bool await_outputs(const RankCtx& ctx) {
  bool ok = true;
  // Counted from the last thread: the first ones are busy with the contributions.
  for (int source = blockDim.x - 1 - threadIdx.x; source < ctx.launch.num_ranks; source += blockDim.x) {
    if (!coded && source == ctx.rank) continue;
    ok = await_flag(ctx, ctx.launch.offsets.combine_flags, source, WaitKind::combine_data) && ok;
  }
  return __syncthreads_and(ok);
}

template <bool coded>
__device__ inline void list_contributions(const RankCtx& ctx, const Share& share,
                                          Contribution* contributions) {
  const Launch& launch = ctx.launch;
  const int first = share.token0 * launch.topk;
  const int own = (share.token1 - share.token0) * launch.topk;
  for (int i = threadIdx.x; i < own; i += blockDim.x) {
    const std::uint32_t sent = ctx.mine<const std::uint32_t>(launch.offsets.sent_rows)[first + i];
    const float weight = __ldg(ctx.mine<const float>(launch.offsets.weights) + first + i);
    const char* from = nullptr;
    if (sent != no_row) {
      const std::uint64_t stride = coded ? launch.encoded_stride : 2u * launch.hidden;
      const std::uint64_t rows = coded ? launch.offsets.encoded : launch.offsets.expert_out;
      const std::uint64_t row = sent & ((1u << row_bits) - 1);
      from = ctx.theirs<const char>(static_cast<int>(sent >> row_bits), rows) + row * stride;
    }
    contributions[i] = {from, weight};
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

__device__ inline void reduce_coded(const RankCtx& ctx, const Contribution* contributions, int channel,
                                    float (&acc)[8]) {
#pragma unroll 2
  for (int k = 0; k < ctx.launch.topk; ++k) {
    const Contribution c = contributions[k];
    if (c.row != nullptr) logfmt_add(acc, c.weight, c.row, ctx.launch.hidden, channel);
  }
}

template <bool coded>
__device__ inline void combine(const RankCtx& ctx, Contribution* contributions) {
  const Launch& launch = ctx.launch;
  if ((launch.phases & phase_send) != 0) {
    if constexpr (coded) encode_outputs(ctx);
    signal_outputs<coded>(ctx);
  }
  if ((launch.phases & phase_recv) == 0) return;
  const Share share(ctx, combine_span);
  list_contributions<coded>(ctx, share, contributions);
  maybe_delay(ctx, 5);
  if (!await_outputs<coded>(ctx)) return;
  const int warps = blockDim.x / warp_size;
  const int lane = threadIdx.x % warp_size;
  for (int item = share.items.first + static_cast<int>(threadIdx.x) / warp_size; item < share.items.last;
       item += warps) {
    const int token = item / share.spans;
    const int channel = (item - token * share.spans) * combine_span + 8 * lane;
    if (channel >= launch.hidden) continue;
    float acc[8] = {};
    const Contribution* own = contributions + (token - share.token0) * launch.topk;
    if constexpr (coded) {
      reduce_coded(ctx, own, channel, acc);
    } else {
      reduce_channels(ctx, own, channel, acc);
    }
    char* out = ctx.mine<char>(launch.offsets.combined);
    store_row(out + 2ull * (static_cast<std::uint64_t>(token) * launch.hidden + channel), round_to_bf16(acc));
  }
}

}  // namespace epskew::cuda
