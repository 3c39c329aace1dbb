#pragma once

/// Messages on their way: headers and copies at the sender, the copies' way to their rows at the receiver.

#include "backends/cuda/formats.cuh"
#include "backends/cuda/message_counts.cuh"
#include "backends/cuda/payload.cuh"

namespace epskew::cuda {

/// Which lanes of a warp (lane k: the k-th selection of a token) go to the same rank.
struct Copies {
  Destination to;       ///< `row` is the message's slot at the peer; -1 unless this lane leads its rank
  unsigned companions;  ///< lanes whose selections go to this lane's rank, itself included; 0 where masked

  __device__ Copies(const RankCtx& ctx, const DispatchShared& shared, int own, const Destination& rows)
      : to(rows), companions(0) {
    const int lane = threadIdx.x % warp_size;
    const bool goes = rows.row >= 0;
    const unsigned same = __match_any_sync(0xffffffffu, goes ? rows.peer : -1 - lane);
    to.row = -1;
    if (!goes) return;
    companions = same;
    if (__ffs(static_cast<int>(same)) - 1 == lane)
      to.row = ctx.rank * ctx.launch.max_tokens + shared.message[own + lane];
  }
};

/// The header of each of a token's messages, see header_words.
__device__ inline void store_headers(const RankCtx& ctx, const DispatchShared& shared, int own, int token,
                                     const Destination& rows, const Copies& copies) {
  const Launch& launch = ctx.launch;
  const int lane = threadIdx.x % warp_size;
  const bool selects = lane < launch.topk;
  const int expert = selects ? shared.expert[own + lane] : -1;
  const bool leads = copies.to.row >= 0;
  int entry = 0;         // of this selection in its message, by local expert
  int contribution = 0;  // destination ranks below this one
  for (int k = 0; k < launch.topk; ++k) {
    const int other = __shfl_sync(0xffffffffu, expert, k);
    const int peer = __shfl_sync(0xffffffffu, rows.peer, k);
    const bool first = __shfl_sync(0xffffffffu, leads, k);
    entry += (copies.companions >> k & 1u) != 0 && other < expert;
    contribution += first && peer < rows.peer;
  }
  const int leader = copies.companions != 0 ? __ffs(static_cast<int>(copies.companions)) - 1 : 0;
  const int slot = __shfl_sync(0xffffffffu, copies.to.row, leader);
  const int ranks = __popc(__ballot_sync(0xffffffffu, leads));
  if (lane == 0) ctx.mine<int>(launch.offsets.contributions)[token] = ranks;
  if (rows.row < 0) return;
  std::uint32_t* header = ctx.theirs<std::uint32_t>(rows.peer, launch.offsets.headers) +
                          static_cast<std::uint64_t>(slot) * header_words(launch.topk);
  const std::uint32_t* weights = ctx.mine<const std::uint32_t>(launch.offsets.weights);
  if (leads) {
    header[0] = static_cast<std::uint32_t>(token);
    header[1] = static_cast<std::uint32_t>(__popc(copies.companions) | contribution << 8);
  }
  header[2 + entry] = static_cast<std::uint32_t>(rows.row) | static_cast<std::uint32_t>(lane) << row_bits;
  header[2 + launch.topk + entry] = __ldg(weights + token * launch.topk + lane);
}

/// A message header as a warp holds it: lane i has entry i.
struct Header {
  int token;
  int entries;
  int contribution;
  std::uint32_t entry;  ///< {row:24 | place:8}
  float weight;

  __device__ Header(const RankCtx& ctx, int slot)
      : token(0), entries(0), contribution(0), entry(0), weight(0) {
    if (slot < 0) return;
    const Launch& launch = ctx.launch;
    const int lane = threadIdx.x % warp_size;
    const auto* words = ctx.mine<const volatile std::uint32_t>(launch.offsets.headers) +
                        static_cast<std::uint64_t>(slot) * header_words(launch.topk);
    token = static_cast<int>(words[0]);
    const std::uint32_t sizes = words[1];
    entry = lane < launch.topk ? words[2 + lane] : 0;
    weight = __uint_as_float(lane < launch.topk ? words[2 + launch.topk + lane] : 0);
    entries = static_cast<int>(sizes & 0xffu);
    contribution = static_cast<int>(sizes >> 8);
  }
  __device__ int row(int i) const {
    return static_cast<int>(__shfl_sync(0xffffffffu, entry, i) & ((1u << row_bits) - 1));
  }
};

/// One span of a message in registers.
template <bool fp8>
struct MessagePart {
  uint4 data[fp8 ? 1 : 2];
  std::uint32_t scale;  ///< lane: group lane % 4 of the span; f32 bits, or an exponent byte
  int slot;
  int source;
  int span;

  __device__ static int channel_of(int span) {
    const int lane = static_cast<int>(threadIdx.x) % warp_size;
    return span * dispatch_span + (fp8 ? 16 : 8) * lane;
  }
  __device__ static int group_of(int span) {
    return span * (dispatch_span / scale_group) + static_cast<int>(threadIdx.x) % 4;
  }

  __device__ MessagePart(const RankCtx& ctx, const int* first, int item, int last)
      : scale(0), slot(-1), source(0), span(0) {
    if (item >= last) return;
    const Launch& launch = ctx.launch;
    const int index = item / launch.spans;
    span = item - index * launch.spans;
    const ListedMessage message(ctx, first, index);
    slot = message.slot;
    source = message.source;
    const int channel = channel_of(span);
    const char* row = ctx.mine<const char>(launch.offsets.message_rows) +
                      (fp8 ? 1 : 2) * (static_cast<std::uint64_t>(slot) * launch.hidden + channel);
    if (channel < launch.hidden) data[0] = load_row(row);
    if constexpr (fp8) {
      load_scale(ctx);
    } else {
      if (channel + dispatch_span / 2 < launch.hidden) data[1] = load_row(row + dispatch_span);
    }
  }

  __device__ void load_scale(const RankCtx& ctx) {
    const Launch& launch = ctx.launch;
    const int groups = launch.hidden / scale_group;
    if (group_of(span) >= groups) return;
    const std::uint64_t index = static_cast<std::uint64_t>(slot) * groups + group_of(span);
    if (launch.scale_rule == ScaleRule::exponent_byte) {
      scale = ctx.mine<const volatile std::uint8_t>(launch.offsets.message_scales)[index];
    } else {
      scale = ctx.mine<const volatile std::uint32_t>(launch.offsets.message_scales)[index];
    }
  }

  /// To every row of the message.
  __device__ void store(const RankCtx& ctx, const Header& header) const {
    const Launch& launch = ctx.launch;
    const int channel = channel_of(span);
#pragma unroll 2
    for (int i = 0; i < header.entries; ++i) {
      char* row = ctx.mine<char>(launch.offsets.rows) +
                  (fp8 ? 1 : 2) * (static_cast<std::uint64_t>(header.row(i)) * launch.hidden + channel);
      if (channel < launch.hidden) store_row(row, data[0]);
      if constexpr (!fp8) {
        if (channel + dispatch_span / 2 < launch.hidden) store_row(row + dispatch_span, data[1]);
      }
    }
    if constexpr (fp8) store_scale(ctx, header);
    if (span == 0) store_source(ctx, header);
  }

  /// Eight rows at a time: lane = 4·row + group.
  __device__ void store_scale(const RankCtx& ctx, const Header& header) const {
    const Launch& launch = ctx.launch;
    const int lane = static_cast<int>(threadIdx.x) % warp_size;
    const int groups = launch.hidden / scale_group;
    for (int i0 = 0; i0 < header.entries; i0 += warp_size / 4) {
      const int i = i0 + lane / 4;
      const int row = header.row(i);
      if (i >= header.entries || group_of(span) >= groups) continue;
      const std::uint64_t index = static_cast<std::uint64_t>(row) * groups + group_of(span);
      if (launch.scale_rule == ScaleRule::exponent_byte) {
        ctx.mine<std::uint8_t>(launch.offsets.scales)[index] = static_cast<std::uint8_t>(scale);
      } else {
        ctx.mine<std::uint32_t>(launch.offsets.scales)[index] = scale;
      }
    }
  }

  __device__ void store_source(const RankCtx& ctx, const Header& header) const {
    const Launch& launch = ctx.launch;
    if (static_cast<int>(threadIdx.x) % warp_size >= header.entries) return;
    const std::uint32_t row = header.entry & ((1u << row_bits) - 1);
    ctx.mine<int>(launch.offsets.source_tokens)[row] = header.token;
    if (launch.algorithms.combine == CombineAlgorithm::push) {
      ctx.mine<std::uint32_t>(launch.offsets.return_addresses)[row] =
          pack_return(source, header.token, static_cast<int>(header.entry >> row_bits));
    }
  }
};

/// Copies every message to its rows. The work is (message, span), spread evenly over all warps of the rank,
/// whatever experts it is for.
template <bool fp8>
__device__ inline void expand_messages(const RankCtx& ctx, int* memory) {
  list_messages(ctx, memory);
  const Items items = items_of_block(ctx, memory[ctx.launch.num_ranks] * ctx.launch.spans);
  const int warps = blockDim.x / warp_size;
  int item = items.first + static_cast<int>(threadIdx.x) / warp_size;
  if (item >= items.last) return;
  MessagePart<fp8> part(ctx, memory, item, items.last);
  Header header(ctx, part.slot);
  for (; item < items.last; item += warps) {
    const MessagePart<fp8> next(ctx, memory, item + warps, items.last);
    const Header next_header(ctx, next.slot);
    part.store(ctx, header);
    part = next;
    header = next_header;
  }
}

}  // namespace epskew::cuda
