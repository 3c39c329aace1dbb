#pragma once

/// Dispatch. Counts travel first, so every sender knows the final row of each of its selections: "direct"
/// writes a token there, "dedup" writes it once per destination rank, with the rows in a header, and the
/// receiver copies it. docs/cuda.md explains the protocol and its ordering.

#include "backends/cuda/counts.cuh"
#include "backends/cuda/messages.cuh"
#include "backends/cuda/payload.cuh"

namespace epskew::cuda {

/// Where a token went, for combine, and (direct) where it came from, for the receiver: once a token.
template <Carry carry>
__device__ inline void store_indices(const RankCtx& ctx, const Destination& d, int token) {
  const Launch& launch = ctx.launch;
  const int lane = threadIdx.x % warp_size;
  if (lane >= launch.topk) return;
  ctx.mine<std::uint32_t>(launch.offsets.sent_rows)[token * launch.topk + lane] =
      d.row < 0 ? no_row : static_cast<std::uint32_t>(d.peer) << row_bits | static_cast<std::uint32_t>(d.row);
  if (carry == Carry::messages || d.row < 0) return;
  ctx.theirs<int>(d.peer, launch.offsets.source_tokens)[d.row] = token;
  if (launch.algorithms.combine == CombineAlgorithm::push) {
    ctx.theirs<std::uint32_t>(d.peer, launch.offsets.return_addresses)[d.row] =
        pack_return(ctx.rank, token, lane);
  }
}

/// Stores the copies of this block's items. The first payload of each warp was made before the rows were
/// known.
template <bool fp8, Carry carry>
__device__ inline void send_rows(const RankCtx& ctx, const Share& share, const DispatchShared& shared,
                                 Payload<fp8> payload) {
  const ArenaOffsets& at = ctx.launch.offsets;
  constexpr bool dedup = carry == Carry::messages;
  const Target target = dedup ? Target{at.message_rows, at.message_scales} : Target{at.rows, at.scales};
  const int warps = blockDim.x / warp_size;
  for (int item = share.items.first + static_cast<int>(threadIdx.x) / warp_size; item < share.items.last;
       item += warps) {
    TokenPart next;
    next.load(ctx, share, item + warps);
    const int token = item / share.spans;
    const int span = item - token * share.spans;
    const int own = (token - share.token0) * ctx.launch.topk;
    const Destination rows(ctx, shared, own);
    if constexpr (!dedup) store_payload<fp8>(ctx, target, rows, span, payload);
    if (carry != Carry::rows && (dedup || span == 0)) {
      const Copies copies(ctx, shared, own, rows);
      if constexpr (dedup) store_payload<fp8>(ctx, target, copies.to, span, payload);
      if (span == 0) store_headers(ctx, shared, own, token, rows, copies);
    }
    if (span == 0) store_indices<carry>(ctx, rows, token);
    if (item + warps < share.items.last) payload.prepare(next, ctx.launch.scale_rule);
  }
}

/// Adds this block's share of flag_unit to every peer's flag, after all its stores. Only a rank that copies
/// messages needs to hear of itself; else its own stores are ordered by the end of the kernel.
template <bool dedup>
__device__ inline void signal_sent(const RankCtx& ctx) {
  __syncthreads();
  maybe_delay(ctx, 2);
  const std::uint64_t share = share_of_unit(ctx);
  for (int peer = threadIdx.x; peer < ctx.launch.num_ranks; peer += blockDim.x) {
    if ((!dedup && peer == ctx.rank) || ctx.is_lost(peer)) continue;
    std::uint64_t* flags = ctx.theirs<std::uint64_t>(peer, ctx.launch.offsets.dispatch_flags);
    add_flag(flags + ctx.rank, share, ctx.launch.one_device);
  }
}

template <bool dedup>
__device__ inline bool await_sent(const RankCtx& ctx) {
  bool ok = true;
  for (int source = threadIdx.x; source < ctx.launch.num_ranks; source += blockDim.x) {
    if ((!dedup && source == ctx.rank) || ctx.is_lost(source)) continue;
    ok = await_flag(ctx, ctx.launch.offsets.dispatch_flags, source, WaitKind::dispatch_data) && ok;
  }
  return __syncthreads_and(ok);
}

/// Counts (unless an earlier launch made them), final rows, data, signal.
template <bool fp8, Carry carry, unsigned compiled>
__device__ inline void dispatch_send(const RankCtx& ctx, int* memory) {
  const Launch& launch = ctx.launch;
  DispatchShared shared(memory, launch);
  const bool counts_here = (phases_of<compiled>(launch) & phase_counts) != 0;
  // What does not depend on the counts is requested first, and before it what the final rows depend on.
  CountCells cells;
  if (counts_here) {
    cells.clear();
  } else {
    cells.request(ctx);
  }
  const Share share(ctx);
  TokenPart part;
  part.load(ctx, share, share.items.first + static_cast<int>(threadIdx.x) / warp_size);
  if (counts_here) {
    count_selections(ctx, share.token0, share.token1, shared);
    if constexpr (carry != Carry::rows) count_messages(ctx, share.token0, share.token1, shared);
    maybe_delay(ctx, 1);
    publish_counts(ctx, shared);
    if constexpr (carry != Carry::rows) publish_messages(ctx, shared);
  } else {
    load_numbers<carry>(ctx, share, shared);
  }
  if (!gather_counts(ctx, shared, cells, counts_here)) return;
  scan_ranks(ctx, shared);
  Payload<fp8> payload;
  payload.prepare(part, launch.scale_rule);
  if (ctx.block == ctx.num_blocks - 1) write_metadata(ctx, shared);
  send_rows<fp8, carry>(ctx, share, shared, payload);
  constexpr bool dedup = carry == Carry::messages;
  if (dedup || launch.num_ranks > 1) signal_sent<dedup>(ctx);
}

template <bool fp8, Carry carry, unsigned compiled>
__device__ inline void dispatch(const RankCtx& ctx, int* memory) {
  constexpr bool dedup = carry == Carry::messages;
  const unsigned phases = phases_of<compiled>(ctx.launch);
  if ((phases & phase_send) != 0) {
    dispatch_send<fp8, carry, compiled>(ctx, memory);
  } else if ((phases & phase_counts) != 0) {
    dispatch_counts<carry>(ctx, memory);
  }
  if ((phases & phase_recv) == 0 || (!dedup && ctx.block != 0)) return;
  maybe_delay(ctx, 3);
  const bool arrived = await_sent<dedup>(ctx);
  if constexpr (dedup) {
    if (arrived) expand_messages<fp8>(ctx, memory);
  }
}

}  // namespace epskew::cuda
