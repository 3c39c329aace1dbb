#pragma once

/// Words that ranks exchange, and bounded waits for them. System scope, unless every rank lives on this
/// device.

#include <cstdint>

#include "backends/cuda/launch.hpp"

namespace epskew::cuda {

__device__ inline std::uint64_t now_ns() {
  std::uint64_t ns;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(ns));
  return ns;
}

/// A cell carries its own epoch, so it needs no ordering with other memory.
__device__ inline void store_cell(std::uint64_t* cell, std::uint64_t value) {
  asm volatile("st.relaxed.sys.global.u64 [%0], %1;" ::"l"(cell), "l"(value) : "memory");
}
__device__ inline std::uint64_t load_cell(const std::uint64_t* cell) {
  std::uint64_t value;
  asm volatile("ld.relaxed.sys.global.u64 %0, [%1];" : "=l"(value) : "l"(cell) : "memory");
  return value;
}

/// Publishes everything this thread wrote or saw written (its block's writes, after __syncthreads). `local`:
/// every rank of the world lives on this device, so device scope is enough.
__device__ inline void add_flag(std::uint64_t* flag, std::uint64_t value, bool local) {
  if (local) {
    asm volatile("red.release.gpu.global.add.u64 [%0], %1;" ::"l"(flag), "l"(value) : "memory");
  } else {
    asm volatile("red.release.sys.global.add.u64 [%0], %1;" ::"l"(flag), "l"(value) : "memory");
  }
}
__device__ inline std::uint64_t load_flag(const std::uint64_t* flag, bool local) {
  std::uint64_t value;
  if (local) {
    asm volatile("ld.acquire.gpu.global.u64 %0, [%1];" : "=l"(value) : "l"(flag) : "memory");
  } else {
    asm volatile("ld.acquire.sys.global.u64 %0, [%1];" : "=l"(value) : "l"(flag) : "memory");
  }
  return value;
}

/// One rank's part of a launch.
struct RankCtx {
  const Launch& launch;
  int rank;
  int block;                  ///< of this rank
  const Divisor& num_blocks;  ///< of this rank

  template <class T>
  __device__ T* mine(std::uint64_t offset) const {
    return reinterpret_cast<T*>(launch.peer[rank].arena + offset);
  }
  template <class T>
  __device__ T* theirs(int peer, std::uint64_t offset) const {
    return reinterpret_cast<T*>(launch.peer[peer].arena + offset);
  }
  __device__ int num_tokens() const { return launch.peer[rank].tokens; }
  __device__ bool is_lost(int peer) const {
    return __builtin_expect(!launch.all_take_part, 0) && launch.lost.has(peer);
  }
};

/// The phases of this launch: those its kernel is compiled for, or (any_phases) those it was started with.
template <unsigned compiled>
__device__ inline unsigned phases_of(const Launch& launch) {
  return compiled != any_phases ? compiled : launch.phases;
}

/// Repeats `ready(awaited)` until it holds; it names a rank it still waits for. False where time ran out or
/// another wait of this process had given up: the caller then leaves the kernel by the ordinary way, so the
/// context stays usable.
template <class Ready>
__device__ inline bool wait_until(const RankCtx& ctx, WaitKind kind, Ready ready) {
  int awaited = 0;
  std::uint64_t begin = 0;
#pragma unroll 1  // one copy of `ready`: mostly it holds at once, and what follows it is not far away then
  for (unsigned tries = 1;; ++tries) {
    if (ready(awaited)) return true;
    if (tries % 64 != 0) continue;
    if (load_cell(ctx.launch.abort_word) != 0) return false;
    const std::uint64_t now = now_ns();
    if (begin == 0) begin = now;
    if (now - begin > ctx.launch.timeout_ns) {
      atomicCAS_system(reinterpret_cast<unsigned long long*>(ctx.launch.abort_word), 0ull,
                       static_cast<unsigned long long>(pack_abort(kind, ctx.rank, awaited)));
      return false;
    }
  }
}

/// Waits until rank `source` has added a whole flag_unit for this operation to its flag at `flags`.
__device__ inline bool await_flag(const RankCtx& ctx, std::uint64_t flags, int source, WaitKind kind) {
  const std::uint64_t* flag = ctx.mine<const std::uint64_t>(flags) + source;
  return wait_until(ctx, kind, [&](int& awaited) {
    awaited = source;
    return load_flag(flag, ctx.launch.one_device) >= ctx.launch.flag_target;
  });
}

/// This block's share of flag_unit; the shares of a rank's blocks add up to it.
__device__ inline std::uint64_t share_of_unit(const RankCtx& ctx) {
  constexpr int unit = static_cast<int>(flag_unit);
  return static_cast<std::uint64_t>(unit * (ctx.block + 1) / ctx.num_blocks -
                                    unit * ctx.block / ctx.num_blocks);
}

/// Test aid: a random pause of this block at point `point` of the launch.
__device__ inline void maybe_delay(const RankCtx& ctx, unsigned point) {
  if (__builtin_expect(ctx.launch.delay_seed == 0, 1)) return;
  std::uint32_t h = ctx.launch.delay_seed + 0x9e3779b9u * (point + 8u * (ctx.launch.epoch + 1)) +
                    0x85ebca6bu * static_cast<std::uint32_t>(ctx.rank << 16 | ctx.block);
  h = (h ^ (h >> 16)) * 0x7feb352du;
  h = (h ^ (h >> 15)) * 0x846ca68bu;
  const std::uint32_t pause = __umulhi(h ^ (h >> 16), ctx.launch.delay_max_ns + 1u);
  const std::uint64_t begin = now_ns();
  while (now_ns() - begin < pause) __nanosleep(200);
}

/// Consecutive work items [first, last) of this block: `total` split over the rank's blocks as evenly as can
/// be.
struct Items {
  int first;
  int last;
};
__device__ inline Items items_of_block(const RankCtx& ctx, int total) {
  const int each = total / ctx.num_blocks;
  const int larger = total - each * ctx.num_blocks;  // that many blocks take one more
  const int first = ctx.block * each + min(ctx.block, larger);
  return {first, first + each + (ctx.block < larger ? 1 : 0)};
}

/// A block's share of the work: items are (token, span of channels); tokens [token0, token1) are those it
/// touches.
struct Share {
  const Divisor& spans;
  Items items;
  int token0;
  int token1;

  __device__ explicit Share(const RankCtx& ctx) : spans(ctx.launch.spans) {
    const Peer& own = ctx.launch.peer[ctx.rank];
    const int larger = own.tokens * spans - own.block_items * ctx.num_blocks;  // so many blocks take one more
    items.first = ctx.block * own.block_items + min(ctx.block, larger);
    items.last = items.first + own.block_items + (ctx.block < larger ? 1 : 0);
    token0 = items.first / spans;
    token1 = items.last > items.first ? (items.last - 1) / spans + 1 : token0;
  }
};

}  // namespace epskew::cuda
