#pragma once

/// Expert outputs on their way back to the tokens' owners: coded for the owner to pull, pushed one by one, or
/// summed first. Rows are spread evenly over all warps of the rank that has them.

#include "backends/cuda/formats.cuh"
#include "backends/cuda/logfmt.cuh"
#include "backends/cuda/messages.cuh"

namespace epskew::cuda {

/// How the owner finds the results of its tokens.
enum class Reduction { pull, coded, push, prereduce };

__device__ inline int received_rows(const RankCtx& ctx) {
  return ctx.mine<const int>(ctx.launch.offsets.expert_begin)[ctx.launch.experts_per_rank];
}

__device__ inline const char* output_row(const RankCtx& ctx, std::uint64_t row, int channel) {
  return ctx.mine<const char>(ctx.launch.offsets.expert_out) + 2 * (row * ctx.launch.hidden + channel);
}

/// Codes the rows this rank received, for peers to read.
__device__ inline void encode_outputs(const RankCtx& ctx) {
  const Launch& launch = ctx.launch;
  const Divisor& spans = launch.spans;
  const Items items = items_of_block(ctx, received_rows(ctx) * spans);
  const int lane = threadIdx.x % warp_size;
  const int warps = blockDim.x / warp_size;
  for (int item = items.first + static_cast<int>(threadIdx.x) / warp_size; item < items.last; item += warps) {
    const int row = item / spans;
    const int channel = (item - row * spans) * combine_span + 8 * lane;
    const uint4 values =
        channel < launch.hidden ? load_row(output_row(ctx, row, channel)) : make_uint4(0, 0, 0, 0);
    logfmt_store(ctx.mine<char>(launch.offsets.encoded) + std::uint64_t{launch.encoded_stride} * row,
                 launch.hidden, channel, values);
  }
}

/// Row `place` of token `token` among the results that its owner collects; `places` a token.
__device__ inline char* returned_row(const RankCtx& ctx, int owner, int token, int places, int place) {
  const Launch& launch = ctx.launch;
  const std::uint64_t row = static_cast<std::uint64_t>(token) * places + place;
  return ctx.theirs<char>(owner, launch.offsets.returned) + 2 * row * launch.hidden;
}

/// Every row to its owner's place for that selection.
__device__ inline void push_outputs(const RankCtx& ctx) {
  const Launch& launch = ctx.launch;
  const Divisor& spans = launch.spans;
  const Items items = items_of_block(ctx, received_rows(ctx) * spans);
  const int lane = threadIdx.x % warp_size;
  const int warps = blockDim.x / warp_size;
#pragma unroll 2
  for (int item = items.first + static_cast<int>(threadIdx.x) / warp_size; item < items.last; item += warps) {
    const int row = item / spans;
    const int channel = (item - row * spans) * combine_span + 8 * lane;
    const ReturnAddress to(ctx.mine<const std::uint32_t>(launch.offsets.return_addresses)[row]);
    if (channel >= launch.hidden || ctx.is_lost(to.source)) continue;
    store_row(returned_row(ctx, to.source, to.token, launch.topk, to.place) + 2 * channel,
              load_row(output_row(ctx, static_cast<std::uint64_t>(row), channel)));
  }
}

/// Eight channels of the weighted sum over a message's rows, in the order of local experts.
__device__ inline void sum_message(const RankCtx& ctx, const Header& header, int channel, float (&acc)[8]) {
  constexpr int batch = 4;  // rows in flight a lane
  const bool inside = channel < ctx.launch.hidden;
  for (int i0 = 0; i0 < header.entries; i0 += batch) {
    uint4 values[batch];
    float weights[batch];
#pragma unroll
    for (int i = 0; i < batch; ++i) {
      const bool exists = i0 + i < header.entries;
      const int row = header.row((i0 + i) % warp_size);
      weights[i] = __shfl_sync(0xffffffffu, header.weight, (i0 + i) % warp_size);
      values[i] = exists && inside ? load_row(output_row(ctx, static_cast<std::uint64_t>(row), channel))
                                   : make_uint4(0, 0, 0, 0);
      if (!exists) weights[i] = 0.0f;
    }
#pragma unroll
    for (int i = 0; i < batch; ++i) accumulate(acc, weights[i], values[i]);
  }
}

/// One row a message: what the token has on this rank, summed.
__device__ inline void push_sums(const RankCtx& ctx, int* first) {
  const Launch& launch = ctx.launch;
  list_messages(ctx, first);
  const Divisor& spans = launch.spans;
  const int places = min(launch.topk, launch.num_ranks);
  const Items items = items_of_block(ctx, first[launch.num_ranks] * spans);
  const int lane = threadIdx.x % warp_size;
  const int warps = blockDim.x / warp_size;
  for (int item = items.first + static_cast<int>(threadIdx.x) / warp_size; item < items.last; item += warps) {
    const int index = item / spans;
    const int channel = (item - index * spans) * combine_span + 8 * lane;
    const ListedMessage message(ctx, first, index);
    const Header header(ctx, message.slot);
    float acc[8] = {};
    sum_message(ctx, header, channel, acc);
    if (channel >= launch.hidden) continue;
    store_row(returned_row(ctx, message.source, header.token, places, header.contribution) + 2 * channel,
              round_to_bf16(acc));
  }
}

}  // namespace epskew::cuda
