#pragma once

/// A token on its way: its channels in registers, what of them travels, and where to.

#include "backends/cuda/dispatch_shared.cuh"
#include "backends/cuda/formats.cuh"
#include "backends/cuda/signal.cuh"
#include "epskew/exchange/shape.hpp"

namespace epskew::cuda {

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
    if (ctx.is_lost(peer)) return;
    row = shared.base[e] + shared.slot[own + lane];
  }
  __device__ Destination of(int k) const {
    Destination d = *this;
    d.peer = __shfl_sync(0xffffffffu, peer, k);
    d.row = __shfl_sync(0xffffffffu, row, k);
    return d;
  }
};

/// Where at a peer a token's copies go: rows of their own, or messages.
struct Target {
  std::uint64_t rows;
  std::uint64_t scales;
};

/// The four scales of a span to the rows of up to 8 selections at a time: lane = 4·selection + group.
__device__ inline void store_scales(const RankCtx& ctx, const Target& target, const Destination& destination,
                                    int span, const Payload<true>& payload) {
  const Launch& launch = ctx.launch;
  const int lane = threadIdx.x % warp_size;
  const int groups = launch.hidden / scale_group;
  const int group = span * (dispatch_span / scale_group) + lane % 4;
  const float low = __shfl_sync(0xffffffffu, payload.scale_low, lane % 2 * 16);
  const float high = __shfl_sync(0xffffffffu, payload.scale_high, lane % 2 * 16);
  const float scale = lane % 4 < 2 ? low : high;
#pragma unroll 1  // once, for up to 8 selections
  for (int k0 = 0; k0 < launch.topk; k0 += warp_size / 4) {
    const Destination d = destination.of(k0 + lane / 4);
    if (d.row < 0 || group >= groups) continue;
    const std::int64_t index = static_cast<std::int64_t>(d.row) * groups + group;
    if (launch.scale_rule == ScaleRule::exponent_byte) {
      ctx.theirs<std::uint8_t>(d.peer, target.scales)[index] =
          static_cast<std::uint8_t>(__float_as_uint(scale) >> 23);
    } else {
      ctx.theirs<float>(d.peer, target.scales)[index] = scale;
    }
  }
}

template <bool fp8>
__device__ inline void store_payload(const RankCtx& ctx, const Target& target, const Destination& destination,
                                     int span, const Payload<fp8>& payload) {
  const Launch& launch = ctx.launch;
  const int lane = threadIdx.x % warp_size;
  constexpr int half = dispatch_span / 2;
  constexpr int channel_bytes = fp8 ? 1 : 2;
  const int channel = span * dispatch_span + (fp8 ? lane % 2 * half + lane / 2 * 16 : lane * 8);
#pragma unroll 2
  for (int k = 0; k < launch.topk; ++k) {
    const Destination d = destination.of(k);
    if (d.row < 0) continue;
    char* row = ctx.theirs<char>(d.peer, target.rows) +
                channel_bytes * (static_cast<std::uint64_t>(d.row) * launch.hidden + channel);
    if (channel < launch.hidden) store_row(row, payload.data[0]);
    if constexpr (!fp8) {
      if (channel + half < launch.hidden) store_row(row + 2 * half, payload.data[1]);
    }
  }
  if constexpr (fp8) store_scales(ctx, target, destination, span, payload);
}

}  // namespace epskew::cuda
