#pragma once

/// The counts that travel before the tokens, and the final row of every selection that follows from them.

#include "backends/cuda/formats.cuh"
#include "backends/cuda/message_counts.cuh"
#include "epskew/exchange/exchange.hpp"

namespace epskew::cuda {

/// Numbers this block's `own` selections within their experts: a warp compares 32 of them at once.
__device__ inline void number_selections(int own, DispatchShared& shared) {
  const int lane = threadIdx.x % warp_size;
  for (int i0 = static_cast<int>(threadIdx.x) - lane; i0 < own; i0 += blockDim.x) {
    const int e = i0 + lane < own ? shared.expert[i0 + lane] : -1;
    const unsigned same = __match_any_sync(0xffffffffu, e);
    if (e < 0) continue;
    int slot = shared.before[e] + __popc(same & ((1u << lane) - 1));
    for (int j = 0; j < i0; ++j) slot += shared.expert[j] == e;
    shared.slot[i0 + lane] = slot;
  }
}

/// Counts this rank's selections and numbers those of tokens [token0, token1) within their experts, in token
/// order.
__device__ inline void count_selections(const RankCtx& ctx, int token0, int token1, DispatchShared& shared) {
  const Launch& launch = ctx.launch;
  const int* topk = ctx.mine<const int>(launch.offsets.topk);
  const int selections = ctx.num_tokens() * launch.topk;
  const auto load_four = [&](int i0) {  // the list is padded to a whole line
    return i0 < selections ? __ldg(reinterpret_cast<const int4*>(topk + i0)) : make_int4(-1, -1, -1, -1);
  };
  int4 four = load_four(4 * threadIdx.x);
  for (int e = threadIdx.x; e < launch.num_experts; e += blockDim.x) shared.counts[e] = shared.before[e] = 0;
  __syncthreads();
  const int own0 = token0 * launch.topk;
  const int own1 = token1 * launch.topk;
  for (int i0 = 4 * threadIdx.x; i0 < selections; i0 += 4 * blockDim.x) {
    const int experts[4] = {four.x, four.y, four.z, four.w};
    four = load_four(i0 + 4 * blockDim.x);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int i = i0 + j;
      const int e = experts[j];
      if (i >= selections) break;
      if (i >= own0 && i < own1) shared.expert[i - own0] = e;
      if (e < 0) continue;
      atomicAdd(shared.counts + e, 1);
      if (i < own0) atomicAdd(shared.before + e, 1);
    }
  }
  __syncthreads();
  number_selections(own1 - own0, shared);
}

/// This rank's counts to every rank, itself included.
__device__ inline void publish_counts(const RankCtx& ctx, const DispatchShared& shared) {
  const Launch& launch = ctx.launch;
  const int cells = launch.num_ranks * launch.num_experts;
  for (int i = ctx.block * blockDim.x + threadIdx.x; i < cells; i += ctx.num_blocks * blockDim.x) {
    const int peer = i / launch.num_experts;
    const int e = i % launch.num_experts;
    std::uint64_t* row =
        ctx.theirs<std::uint64_t>(peer, launch.offsets.count_cells) + ctx.rank * launch.num_experts;
    store_cell(row + e,
               static_cast<std::uint64_t>(launch.epoch) << 32 | static_cast<std::uint32_t>(shared.counts[e]));
  }
}

/// The cells of one expert from eight source ranks, loaded together and reloaded until all are of this epoch.
struct CountCells {
  static constexpr int batch = 8;
  std::uint64_t cell[batch];

  __device__ bool ready(const RankCtx& ctx, int i) const {
    return static_cast<std::uint32_t>(cell[i] >> 32) == ctx.launch.epoch;
  }
  /// Whether the cells of sources from s0 on are of this epoch; `skip` is the source whose count needs none.
  __device__ bool complete(const RankCtx& ctx, int s0, int skip, int& awaited) const {
    std::uint32_t differ = 0;
#pragma unroll
    for (int i = 0; i < batch; ++i) differ |= static_cast<std::uint32_t>(cell[i] >> 32) ^ ctx.launch.epoch;
    if (__builtin_expect(differ == 0, 1)) return true;
    bool all = true;
#pragma unroll
    for (int i = 0; i < batch; ++i) {
      const int s = s0 + i;
      if (s >= ctx.launch.num_ranks || s == skip || ready(ctx, i)) continue;
      all = false;
      awaited = s;
    }
    return all;
  }
  /// Looks again for those of expert `e` that were not there yet.
  __device__ void load_missing(const RankCtx& ctx, int e, int s0) {
    const std::uint64_t* cells = ctx.mine<const std::uint64_t>(ctx.launch.offsets.count_cells) + e;
#pragma unroll
    for (int i = 0; i < batch; ++i) {
      const int s = s0 + i;
      if (s >= ctx.launch.num_ranks || ready(ctx, i)) continue;
      cell[i] = ctx.is_lost(s) ? static_cast<std::uint64_t>(ctx.launch.epoch) << 32
                               : load_cell(cells + s * ctx.launch.num_experts);
    }
  }
  __device__ void clear() {
    for (std::uint64_t& c : cell) c = 0;
  }
  /// An early look: what is not there yet is looked for again by load_missing.
  __device__ void request(const RankCtx& ctx) {
    const int e = threadIdx.x;
    const std::uint64_t* cells = ctx.mine<const std::uint64_t>(ctx.launch.offsets.count_cells) + e;
#pragma unroll
    for (int i = 0; i < batch; ++i) {
      const bool exists = e < ctx.launch.num_experts && i < ctx.launch.num_ranks;
      // Ranks that do not exist have nothing, as of this epoch.
      cell[i] = exists ? load_cell(cells + i * ctx.launch.num_experts)
                       : static_cast<std::uint64_t>(ctx.launch.epoch) << 32;
    }
  }
};

/// For each expert: begin = rows from all ranks, base = rows from ranks before this one. `cells`: what an
/// early look at this thread's first expert found. `counted`: this rank's own counts are in shared memory.
__device__ inline bool gather_counts(const RankCtx& ctx, DispatchShared& shared, CountCells cells,
                                     bool counted) {
  const Launch& launch = ctx.launch;
  const int own0 = ctx.rank * launch.experts_per_rank;
  const int skip = counted ? ctx.rank : -1;
  bool ok = true;
  for (int e = threadIdx.x; e < launch.num_experts; e += blockDim.x) {
    const bool owned = e >= own0 && e < own0 + launch.experts_per_rank;
    int total = 0;
    int prior = 0;
    for (int s0 = 0; s0 < launch.num_ranks; s0 += CountCells::batch) {
      if (s0 != 0 || e != static_cast<int>(threadIdx.x)) cells.clear();
      ok = wait_until(ctx, WaitKind::counts,
                      [&](int& awaited) {
                        if (cells.complete(ctx, s0, skip, awaited)) return true;
                        cells.load_missing(ctx, e, s0);
                        return false;
                      }) &&
           ok;
#pragma unroll
      for (int i = 0; i < CountCells::batch; ++i) {
        const int s = s0 + i;
        if (s >= launch.num_ranks) break;
        const int count =
            s == skip ? shared.counts[e] : static_cast<int>(static_cast<std::uint32_t>(cells.cell[i]));
        total += count;
        if (s < ctx.rank) prior += count;
        if (owned) shared.incoming[(e - own0) * launch.num_ranks + s] = count;
      }
    }
    shared.begin[e] = total;
    shared.base[e] = prior;
  }
  return __syncthreads_and(ok);
}

/// Exclusive prefix sums of `begin` over the experts of each rank, a warp for each chunk of 32; `base` is
/// moved along.
__device__ inline void scan_ranks(const RankCtx& ctx, DispatchShared& shared) {
  const int lane = threadIdx.x % warp_size;
  const int experts = ctx.launch.experts_per_rank;
  const int chunks = (experts + warp_size - 1) / warp_size;  // of a rank
  int* chunk_rows = shared.before;  // not needed any more; at least one expert a chunk
  for (int c = threadIdx.x / warp_size; c < chunks * ctx.launch.num_ranks; c += blockDim.x / warp_size) {
    const int rank = chunks == 1 ? c : c / chunks;
    const int local = (c - rank * chunks) * warp_size + lane;
    const int e = rank * experts + local;
    const int count = local < experts ? shared.begin[e] : 0;
    int inclusive = count;
#pragma unroll
    for (int distance = 1; distance < warp_size; distance *= 2) {
      const int left = __shfl_up_sync(0xffffffffu, inclusive, distance);
      if (lane >= distance) inclusive += left;
    }
    if (local < experts) {
      shared.begin[e] = inclusive - count;
      shared.base[e] += inclusive - count;
    }
    if (lane == warp_size - 1) chunk_rows[c] = inclusive;
  }
  __syncthreads();
  if (chunks == 1) return;
  for (int e = threadIdx.x; e < ctx.launch.num_experts; e += blockDim.x) {
    const int rank = e / experts;
    const int chunk = (e - rank * experts) / warp_size;
    int before = 0;
#pragma unroll 1
    for (int c = 0; c < chunk; ++c) before += chunk_rows[rank * chunks + c];
    shared.begin[e] += before;
    shared.base[e] += before;
  }
  __syncthreads();
}

/// What a rank says of its own rows, from counts alone: expert_begin and source_ranges.
__device__ inline void write_metadata(const RankCtx& ctx, const DispatchShared& shared) {
  const Launch& launch = ctx.launch;
  const int e0 = ctx.rank * launch.experts_per_rank;
  int* expert_begin = ctx.mine<int>(launch.offsets.expert_begin);
  RowRange* ranges = ctx.mine<RowRange>(launch.offsets.source_ranges);
  // Counted from the last thread: the last warps have the least to send.
#pragma unroll 1
  for (int i = blockDim.x - 1 - threadIdx.x; i < launch.experts_per_rank; i += blockDim.x) {
    int row = shared.begin[e0 + i];
    expert_begin[i] = row;
#pragma unroll 1
    for (int s = 0; s < launch.num_ranks; ++s) {
      const int count = shared.incoming[i * launch.num_ranks + s];
      ranges[i * launch.num_ranks + s] = {row, count};
      row += count;
    }
    if (i == launch.experts_per_rank - 1) expert_begin[i + 1] = row;
  }
}

/// The counts launch of the lockstep driver: counts go out, each selection's number is kept for
/// dispatch_send, and the tokens are asked for, so that they are nearer when the peers' counts have come.
template <Carry carry>
__device__ inline void dispatch_counts(const RankCtx& ctx, int* memory) {
  const Launch& launch = ctx.launch;
  DispatchShared shared(memory, launch);
  const Items tokens = items_of_block(ctx, ctx.num_tokens());
  count_selections(ctx, tokens.first, tokens.last, shared);
  if constexpr (carry != Carry::rows) count_messages(ctx, tokens.first, tokens.last, shared);
  maybe_delay(ctx, 1);
  publish_counts(ctx, shared);
  const int first = tokens.first * launch.topk;
  const int own = (tokens.last - tokens.first) * launch.topk;
  int* numbers = ctx.mine<int>(launch.offsets.numbers) + first;
  for (int i = threadIdx.x; i < own; i += blockDim.x) numbers[i] = shared.slot[i];
  if constexpr (carry != Carry::rows) {
    publish_messages(ctx, shared);
    int* messages = ctx.mine<int>(launch.offsets.message_numbers) + first;
    for (int i = threadIdx.x; i < own; i += blockDim.x) messages[i] = shared.message[i];
  }
  prefetch_lines(ctx.mine<const char>(launch.offsets.x), 2ull * ctx.num_tokens() * launch.hidden,
                 ctx.block * blockDim.x + threadIdx.x, ctx.num_blocks * blockDim.x);
}

/// What an earlier counts launch found out about this block's tokens.
template <Carry carry>
__device__ inline void load_numbers(const RankCtx& ctx, const Share& share, DispatchShared& shared) {
  const Launch& launch = ctx.launch;
  const int first = share.token0 * launch.topk;
  const int own = (share.token1 - share.token0) * launch.topk;
  // Counted from the last thread: the first ones are busy with the count cells.
  for (int i = blockDim.x - 1 - threadIdx.x; i < own; i += blockDim.x) {
    const int e = __ldg(ctx.mine<const int>(launch.offsets.topk) + first + i);
    shared.slot[i] = ctx.mine<const int>(launch.offsets.numbers)[first + i];
    if constexpr (carry != Carry::rows)
      shared.message[i] = ctx.mine<const int>(launch.offsets.message_numbers)[first + i];
    shared.expert[i] = e;
  }
}

}  // namespace epskew::cuda
