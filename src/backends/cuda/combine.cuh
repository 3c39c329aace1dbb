#pragma once

/// Combine. The owner of a token reads its results, adds them in f32 and rounds once: "pull" from the
/// experts' ranks, in top-k order; "push" from its own memory, in the same order; "prereduce" one sum per
/// rank from its own memory, in rank order.

#include "backends/cuda/outputs.cuh"

namespace epskew::cuda {

/// One selection of a token: where its expert's output is, and its weight.
struct alignas(16) Contribution {
  const char* row;  ///< null where masked
  float weight;     ///< 0 where masked
};

/// Tells every peer that this rank's outputs are in place: rows to be pulled are so since before the launch,
/// so one block says so; others when every block has said so, and then the rank itself is told too.
template <Reduction way>
__device__ inline void signal_outputs(const RankCtx& ctx) {
  constexpr bool made_here = way != Reduction::pull;
  if (!made_here && ctx.block != 0) return;
  if constexpr (made_here) __syncthreads();
  maybe_delay(ctx, 4);
  const std::uint64_t share = made_here ? share_of_unit(ctx) : flag_unit;
  for (int peer = threadIdx.x; peer < ctx.launch.num_ranks; peer += blockDim.x) {
    if ((!made_here && peer == ctx.rank) || ctx.is_lost(peer)) continue;
    std::uint64_t* flags = ctx.theirs<std::uint64_t>(peer, ctx.launch.offsets.combine_flags);
    add_flag(flags + ctx.rank, share, ctx.launch.one_device);
  }
}

template <Reduction way>
__device__ inline bool await_outputs(const RankCtx& ctx) {
  bool ok = true;
  // Counted from the last thread: the first ones are busy with the contributions.
  for (int source = blockDim.x - 1 - threadIdx.x; source < ctx.launch.num_ranks; source += blockDim.x) {
    if ((way == Reduction::pull && source == ctx.rank) || ctx.is_lost(source)) continue;
    ok = await_flag(ctx, ctx.launch.offsets.combine_flags, source, WaitKind::combine_data) && ok;
  }
  return __syncthreads_and(ok);
}

/// Where the result of a selection is: with its expert's rank, or pushed here.
template <Reduction way>
__device__ inline const char* result_of(const RankCtx& ctx, int token, int k, std::uint32_t sent) {
  const Launch& launch = ctx.launch;
  const int peer = static_cast<int>(sent >> row_bits);
  if (sent == no_row || ctx.is_lost(peer)) return nullptr;
  if constexpr (way == Reduction::push) return returned_row(ctx, ctx.rank, token, launch.topk, k);
  constexpr bool coded = way == Reduction::coded;
  const std::uint64_t stride = coded ? launch.encoded_stride : 2u * launch.hidden;
  const std::uint64_t rows = coded ? launch.offsets.encoded : launch.offsets.expert_out;
  return ctx.theirs<const char>(peer, rows) + (sent & ((1u << row_bits) - 1)) * stride;
}

/// The rank that makes contribution `place` of a token: the place-th smallest of its destinations.
__device__ inline int contributor(const RankCtx& ctx, const std::uint32_t* sent, int place) {
  int rank = -1;
  for (int i = 0; i <= place; ++i) {
    int next = max_ranks;
    for (int k = 0; k < ctx.launch.topk; ++k) {
      const int peer = static_cast<int>(sent[k] >> row_bits);
      if (sent[k] != no_row && peer > rank) next = min(next, peer);
    }
    rank = next;
  }
  return rank;
}

/// Where contribution `place` of a token is; null beyond the last one and for a lost rank's.
__device__ inline const char* sum_of(const RankCtx& ctx, int token, int place) {
  const Launch& launch = ctx.launch;
  if (place >= ctx.mine<const int>(launch.offsets.contributions)[token]) return nullptr;
  if (!launch.all_take_part) {
    const std::uint32_t* sent = ctx.mine<const std::uint32_t>(launch.offsets.sent_rows) + token * launch.topk;
    if (ctx.is_lost(contributor(ctx, sent, place))) return nullptr;
  }
  return returned_row(ctx, ctx.rank, token, min(launch.topk, launch.num_ranks), place);
}

/// A token's places in the list of contributions: top-k, rounded up to whole batches of `rows_in_flight`, so
/// that a batch is read without asking where the list ends.
__device__ inline int places_of(const Launch& launch) {
  return launch.topk <= rows_in_flight ? rows_in_flight : max_topk;
}

template <Reduction way>
__device__ inline void list_contributions(const RankCtx& ctx, const Share& share,
                                          Contribution* contributions) {
  const Launch& launch = ctx.launch;
  const int places = places_of(launch);
  const int own = (share.token1 - share.token0) * places;
  for (int i = threadIdx.x; i < own; i += blockDim.x) {
    const int k = i & (places - 1);
    const int token = share.token0 + (launch.topk <= rows_in_flight ? i / rows_in_flight : i / max_topk);
    if (k >= launch.topk) {
      contributions[i] = {nullptr, 0.0f};
    } else if constexpr (way == Reduction::prereduce) {
      const char* row = sum_of(ctx, token, k);
      contributions[i] = {row, row != nullptr ? 1.0f : 0.0f};
    } else {
      const int selection = token * launch.topk + k;
      const std::uint32_t sent = ctx.mine<const std::uint32_t>(launch.offsets.sent_rows)[selection];
      const float weight = __ldg(ctx.mine<const float>(launch.offsets.weights) + selection);
      const char* row = result_of<way>(ctx, token, k, sent);
      contributions[i] = {row, row != nullptr ? weight : 0.0f};
    }
  }
}

/// Sums eight channels of one token over its selections.
__device__ inline void reduce_channels(const RankCtx& ctx, const Contribution* contributions, int channel,
                                       float (&acc)[8]) {
  for (int k0 = 0; k0 < ctx.launch.topk; k0 += rows_in_flight) {
    uint4 values[rows_in_flight];
#pragma unroll
    for (int i = 0; i < rows_in_flight; ++i) {
      const char* row = contributions[k0 + i].row;
      values[i] = row != nullptr ? load_row(row + 2 * channel) : make_uint4(0, 0, 0, 0);
    }
    // Weights are looked up when the rows have come: registers are needed for rows.
#pragma unroll
    for (int i = 0; i < rows_in_flight; ++i) accumulate(acc, contributions[k0 + i].weight, values[i]);
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

template <Reduction way>
__device__ inline void send_outputs(const RankCtx& ctx, int* memory) {
  if constexpr (way == Reduction::coded) encode_outputs(ctx);
  if constexpr (way == Reduction::push) push_outputs(ctx);
  if constexpr (way == Reduction::prereduce) push_sums(ctx, memory);
  signal_outputs<way>(ctx);
}

/// Adds up this block's items.
template <Reduction way>
__device__ inline void reduce_items(const RankCtx& ctx, const Share& share,
                                    const Contribution* contributions) {
  const Launch& launch = ctx.launch;
  const int warps = blockDim.x / warp_size;
  const int lane = threadIdx.x % warp_size;
  for (int item = share.items.first + static_cast<int>(threadIdx.x) / warp_size; item < share.items.last;
       item += warps) {
    const int token = item / share.spans;
    const int channel = (item - token * share.spans) * combine_span + 8 * lane;
    if (channel >= launch.hidden) continue;
    float acc[8] = {};
    const Contribution* own = contributions + (token - share.token0) * places_of(launch);
    if constexpr (way == Reduction::coded) {
      reduce_coded(ctx, own, channel, acc);
    } else {
      reduce_channels(ctx, own, channel, acc);
    }
    char* out = ctx.mine<char>(launch.offsets.combined);
    store_row(out + 2ull * (static_cast<std::uint64_t>(token) * launch.hidden + channel), round_to_bf16(acc));
  }
}

template <Reduction way, unsigned compiled>
__device__ inline void combine(const RankCtx& ctx, Contribution* contributions) {
  const unsigned phases = phases_of<compiled>(ctx.launch);
  if ((phases & phase_send) != 0) send_outputs<way>(ctx, reinterpret_cast<int*>(contributions));
  if ((phases & phase_recv) == 0) return;
  const Share share(ctx);
  list_contributions<way>(ctx, share, contributions);
  maybe_delay(ctx, 5);
  if (await_outputs<way>(ctx)) reduce_items<way>(ctx, share, contributions);
}

}  // namespace epskew::cuda
