#pragma once

/// Dispatch, algorithm "direct": counts travel first, so every sender knows the final row of each of its
/// selections and writes a token there once. docs/cuda.md explains the protocol and its ordering.

#include "backends/cuda/formats.cuh"
#include "backends/cuda/signal.cuh"
#include "epskew/exchange/exchange.hpp"

namespace epskew::cuda {

/// The dynamic shared memory of a dispatch block; sizes in dispatch_shared_bytes (plan.hpp).
struct DispatchShared {
  int* counts;    ///< [E] selections of this rank per expert
  int* before;    ///< [E] of them, those of tokens before this block's first
  int* begin;     ///< [E] first row of the expert at its rank
  int* base;      ///< [E] first row of this rank's selections within the expert
  int* incoming;  ///< [L][R] rows that this rank receives, by local expert and source
  int* expert;    ///< [own_tokens·K] of this block's tokens
  int* slot;      ///< [own_tokens·K] index among this rank's rows of that expert

  __device__ DispatchShared(int* memory, const Launch& launch) {
    counts = memory;
    before = counts + launch.num_experts;
    begin = before + launch.num_experts;
    base = begin + launch.num_experts;
    incoming = base + launch.num_experts;
    expert = incoming + launch.num_experts;
    slot = expert + launch.own_tokens * launch.topk;
  }
};

/// Sixteen channels of a token in registers: 8 from each half of a 512-channel span, so that every access of
/// a warp is contiguous.
struct TokenPart {
  uint4 low;
  uint4 high;

  __device__ void load(const RankCtx& ctx, const Share& share, int item) {
    low = high = make_uint4(0, 0, 0, 0);
    if (item >= share.items.last) return;
    const int lane = static_cast<int>(threadIdx.x) % warp_size;
    const int token = item / share.spans;
    const int channel = (item - token * share.spans) * dispatch_span + 8 * lane;
    const char* x = ctx.mine<const char>(ctx.launch.offsets.x) +
                    2ull * (static_cast<std::uint64_t>(token) * ctx.launch.hidden + channel);
    if (channel < ctx.launch.hidden) low = load_input(x);
    if (channel + dispatch_span / 2 < ctx.launch.hidden) high = load_input(x + dispatch_span);
  }
};

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
  for (int i = threadIdx.x; i < own1 - own0; i += blockDim.x) {
    const int e = shared.expert[i];
    int slot = e >= 0 ? shared.before[e] : 0;
    for (int j = 0; j < i; ++j) slot += shared.expert[j] == e;
    shared.slot[i] = slot;
  }
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
  /// `skip`: the source whose count needs no cell.
  __device__ bool load_missing(const RankCtx& ctx, int e, int s0, int skip, int& awaited) {
    const std::uint64_t* cells = ctx.mine<const std::uint64_t>(ctx.launch.offsets.count_cells) + e;
    bool all = true;
#pragma unroll
    for (int i = 0; i < batch; ++i) {
      const int s = s0 + i;
      if (s < ctx.launch.num_ranks && s != skip && !ready(ctx, i))
        cell[i] = load_cell(cells + s * ctx.launch.num_experts);
    }
#pragma unroll
    for (int i = 0; i < batch; ++i) {
      const int s = s0 + i;
      if (s >= ctx.launch.num_ranks || s == skip || ready(ctx, i)) continue;
      all = false;
      awaited = s;
    }
    return all;
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
      cell[i] = exists ? load_cell(cells + i * ctx.launch.num_experts) : 0;
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
                      [&](int& awaited) { return cells.load_missing(ctx, e, s0, skip, awaited); }) &&
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
    const int rank = c / chunks;
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
  for (int i = blockDim.x - 1 - threadIdx.x; i < launch.experts_per_rank; i += blockDim.x) {
    int row = shared.begin[e0 + i];
    expert_begin[i] = row;
    for (int s = 0; s < launch.num_ranks; ++s) {
      const int count = shared.incoming[i * launch.num_ranks + s];
      ranges[i * launch.num_ranks + s] = {row, count};
      row += count;
    }
    if (i == launch.experts_per_rank - 1) expert_begin[i + 1] = row;
  }
}

/// What a warp stores of one item, ready for any number of rows.
template <bool fp8>
struct Payload {
  uint4 data[fp8 ? 1 : 2];  ///< fp8: even lanes hold 16 channels of the span's low half, odd lanes of its
                            ///< high half
  float scale_low;
  float scale_high;

  __device__ void prepare(const TokenPart& part, ScaleRule rule) {
    if constexpr (fp8) {
      const bool power_of_two = rule != ScaleRule::exact;
      const Scale low = scale_for(group_amax(part.low), power_of_two);
      const Scale high = scale_for(group_amax(part.high), power_of_two);
      const uint2 a = quantise(part.low, low.multiplier);
      const uint2 b = quantise(part.high, high.multiplier);
      const bool odd = threadIdx.x % 2 != 0;
      const std::uint32_t got_x = __shfl_xor_sync(0xffffffffu, odd ? a.x : b.x, 1);
      const std::uint32_t got_y = __shfl_xor_sync(0xffffffffu, odd ? a.y : b.y, 1);
      data[0] = odd ? make_uint4(got_x, got_y, b.x, b.y) : make_uint4(a.x, a.y, got_x, got_y);
      scale_low = low.stored;
      scale_high = high.stored;
    } else {
      data[0] = part.low;
      data[1] = part.high;
    }
  }
};

/// The destination of one selection; lane k of a warp holds the k-th of its token.
struct Destination {
  int peer;
  int row;  ///< -1 where masked

  __device__ Destination(const RankCtx& ctx, const DispatchShared& shared, int own) : peer(0), row(-1) {
    const int lane = threadIdx.x % warp_size;
    const int e = lane < ctx.launch.topk ? shared.expert[own + lane] : -1;
    if (e < 0) return;
    peer = e / ctx.launch.experts_per_rank;
    row = shared.base[e] + shared.slot[own + lane];
  }
  __device__ Destination of(int k) const {
    Destination d = *this;
    d.peer = __shfl_sync(0xffffffffu, peer, k);
    d.row = __shfl_sync(0xffffffffu, row, k);
    return d;
  }
};

/// The four scales of a span to the rows of up to 8 selections at a time: lane = 4·selection + group.
__device__ inline void store_scales(const RankCtx& ctx, const Destination& destination, int span,
                                    const Payload<true>& payload) {
  const Launch& launch = ctx.launch;
  const int lane = threadIdx.x % warp_size;
  const int groups = launch.hidden / scale_group;
  const int group = span * (dispatch_span / scale_group) + lane % 4;
  const float low = __shfl_sync(0xffffffffu, payload.scale_low, lane % 2 * 16);
  const float high = __shfl_sync(0xffffffffu, payload.scale_high, lane % 2 * 16);
  const float scale = lane % 4 < 2 ? low : high;
  for (int k0 = 0; k0 < launch.topk; k0 += warp_size / 4) {
    const Destination d = destination.of(k0 + lane / 4);
    if (d.row < 0 || group >= groups) continue;
    const std::int64_t index = static_cast<std::int64_t>(d.row) * groups + group;
    if (launch.scale_rule == ScaleRule::exponent_byte) {
      ctx.theirs<std::uint8_t>(d.peer, launch.offsets.scales)[index] =
          static_cast<std::uint8_t>(__float_as_uint(scale) >> 23);
    } else {
      ctx.theirs<float>(d.peer, launch.offsets.scales)[index] = scale;
    }
  }
}

template <bool fp8>
__device__ inline void store_payload(const RankCtx& ctx, const Destination& destination, int span,
                                     const Payload<fp8>& payload) {
  const Launch& launch = ctx.launch;
  const int lane = threadIdx.x % warp_size;
  constexpr int half = dispatch_span / 2;
  constexpr int channel_bytes = fp8 ? 1 : 2;
  const int channel = span * dispatch_span + (fp8 ? lane % 2 * half + lane / 2 * 16 : lane * 8);
#pragma unroll 2
  for (int k = 0; k < launch.topk; ++k) {
    const Destination d = destination.of(k);
    if (d.row < 0) continue;
    char* row = ctx.theirs<char>(d.peer, launch.offsets.rows) +
                channel_bytes * (static_cast<std::uint64_t>(d.row) * launch.hidden + channel);
    if (channel < launch.hidden) store_row(row, payload.data[0]);
    if constexpr (!fp8) {
      if (channel + half < launch.hidden) store_row(row + 2 * half, payload.data[1]);
    }
  }
  if constexpr (fp8) store_scales(ctx, destination, span, payload);
}

/// Where a token went, for combine, and where it came from, for the receiver: once a token.
__device__ inline void store_indices(const RankCtx& ctx, const Destination& d, int token) {
  const Launch& launch = ctx.launch;
  const int lane = threadIdx.x % warp_size;
  if (lane >= launch.topk) return;
  ctx.mine<int>(launch.offsets.sent_rows)[token * launch.topk + lane] = d.row;
  if (d.row >= 0) ctx.theirs<int>(d.peer, launch.offsets.source_tokens)[d.row] = token;
}

/// Stores the rows of this block's items. The first payload of each warp was made before the rows were known.
template <bool fp8>
__device__ inline void send_rows(const RankCtx& ctx, const Share& share, const DispatchShared& shared,
                                 Payload<fp8> payload) {
  const int warps = blockDim.x / warp_size;
  for (int item = share.items.first + static_cast<int>(threadIdx.x) / warp_size; item < share.items.last;
       item += warps) {
    TokenPart next;
    next.load(ctx, share, item + warps);
    const int token = item / share.spans;
    const int span = item - token * share.spans;
    const Destination destination(ctx, shared, (token - share.token0) * ctx.launch.topk);
    store_payload<fp8>(ctx, destination, span, payload);
    if (span == 0) store_indices(ctx, destination, token);
    if (item + warps < share.items.last) payload.prepare(next, ctx.launch.scale_rule);
  }
}

/// Adds this block's share of flag_unit to every peer's flag, after all its stores.
__device__ inline void signal_sent(const RankCtx& ctx) {
  __syncthreads();
  maybe_delay(ctx, 2);
  const std::uint64_t share =
      flag_unit * (ctx.block + 1) / ctx.num_blocks - flag_unit * ctx.block / ctx.num_blocks;
  for (int peer = threadIdx.x; peer < ctx.launch.num_ranks; peer += blockDim.x) {
    if (peer == ctx.rank) continue;  // the rank's own stores are ordered by the end of the kernel
    std::uint64_t* flags = ctx.theirs<std::uint64_t>(peer, ctx.launch.offsets.dispatch_flags);
    add_flag(flags + ctx.rank * (flag_stride / sizeof(std::uint64_t)), share, ctx.launch.one_device);
  }
}

__device__ inline void await_sent(const RankCtx& ctx) {
  for (int source = threadIdx.x; source < ctx.launch.num_ranks; source += blockDim.x) {
    if (source == ctx.rank) continue;
    const std::uint64_t* flag = ctx.mine<const std::uint64_t>(ctx.launch.offsets.dispatch_flags) +
                                source * (flag_stride / sizeof(std::uint64_t));
    wait_until(ctx, WaitKind::dispatch_data, [&](int& awaited) {
      awaited = source;
      return load_flag(flag, ctx.launch.one_device) >= ctx.launch.flag_target;
    });
  }
}

/// The counts launch of the lockstep driver: counts go out, and each selection's number is kept for
/// dispatch_send.
__device__ inline void dispatch_counts(const RankCtx& ctx, int* memory) {
  const Launch& launch = ctx.launch;
  DispatchShared shared(memory, launch);
  const Items tokens = items_of_block(ctx, ctx.num_tokens());
  count_selections(ctx, tokens.first, tokens.last, shared);
  maybe_delay(ctx, 1);
  publish_counts(ctx, shared);
  int* numbers = ctx.mine<int>(launch.offsets.numbers) + tokens.first * launch.topk;
  for (int i = threadIdx.x; i < (tokens.last - tokens.first) * launch.topk; i += blockDim.x)
    numbers[i] = shared.slot[i];
}

/// What an earlier counts launch found out about this block's tokens.
__device__ inline void load_numbers(const RankCtx& ctx, const Share& share, DispatchShared& shared) {
  const Launch& launch = ctx.launch;
  const int first = share.token0 * launch.topk;
  const int own = (share.token1 - share.token0) * launch.topk;
  // Counted from the last thread: the first ones are busy with the count cells.
  for (int i = blockDim.x - 1 - threadIdx.x; i < own; i += blockDim.x) {
    const int e = __ldg(ctx.mine<const int>(launch.offsets.topk) + first + i);
    shared.slot[i] = ctx.mine<const int>(launch.offsets.numbers)[first + i];
    shared.expert[i] = e;
  }
}

/// Counts (unless an earlier launch made them), final rows, data, signal.
template <bool fp8>
__device__ inline void dispatch_send(const RankCtx& ctx, int* memory) {
  const Launch& launch = ctx.launch;
  DispatchShared shared(memory, launch);
  const Share share(ctx, dispatch_span);
  const bool counts_here = (launch.phases & phase_counts) != 0;
  // What does not depend on the counts is requested first.
  TokenPart part;
  part.load(ctx, share, share.items.first + static_cast<int>(threadIdx.x) / warp_size);
  CountCells cells;
  cells.clear();
  if (counts_here) {
    count_selections(ctx, share.token0, share.token1, shared);
    maybe_delay(ctx, 1);
    publish_counts(ctx, shared);
  } else {
    cells.request(ctx);
    load_numbers(ctx, share, shared);
  }
  if (!gather_counts(ctx, shared, cells, counts_here)) return;
  scan_ranks(ctx, shared);
  Payload<fp8> payload;
  payload.prepare(part, launch.scale_rule);
  if (ctx.block == ctx.num_blocks - 1) write_metadata(ctx, shared);
  send_rows<fp8>(ctx, share, shared, payload);
  if (launch.num_ranks > 1) signal_sent(ctx);
}

template <bool fp8>
__device__ inline void dispatch(const RankCtx& ctx, int* memory) {
  const unsigned phases = ctx.launch.phases;
  if ((phases & phase_send) != 0) {
    dispatch_send<fp8>(ctx, memory);
  } else if ((phases & phase_counts) != 0) {
    dispatch_counts(ctx, memory);
  }
  if ((phases & phase_recv) == 0 || ctx.block != 0) return;
  maybe_delay(ctx, 3);
  await_sent(ctx);
}

}  // namespace epskew::cuda
