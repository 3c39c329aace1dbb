#pragma once

/// What a kernel launch carries: one struct by value, shared by host and device code.

#include <cstdint>

#include "backends/cuda/layout.hpp"

namespace epskew::cuda {

/// Ranks of a world, at most: the peer table travels with every launch.
inline constexpr int max_ranks = 128;
inline constexpr int max_topk = 16;
inline constexpr int block_threads = 512;
inline constexpr int blocks_per_sm = 2;
inline constexpr int warp_size = 32;
/// Channels that one warp handles at a time: 16 a lane in dispatch, 8 a lane in combine.
inline constexpr int dispatch_span = 512;
inline constexpr int combine_span = 256;

/// Phases of one operation, as bits. `counts` is the part of dispatch_send that every rank must have done
/// before any rank can finish the rest: the lockstep driver launches it apart.
enum PhaseBits : unsigned { phase_counts = 1, phase_send = 2, phase_recv = 4 };

enum class ScaleRule : int { exact, power_of_two, exponent_byte };

/// First and last %globaltimer reading of one block, nanoseconds.
struct Stamp {
  std::uint64_t begin;
  std::uint64_t end;
};

struct Launch {
  // Shape.
  int num_ranks;
  int num_experts;
  int experts_per_rank;
  int topk;
  int hidden;
  ScaleRule scale_rule;
  std::uint32_t encoded_stride;  ///< bytes of a LogFMT-10 row, its {min, max} words included
  // This launch: ranks [first_rank, first_rank + grid / blocks_per_rank).
  int first_rank;
  int blocks_per_rank;
  unsigned phases;
  std::uint32_t epoch;  ///< 1, 2, … of this micro-batch
  /// Every rank adds flag_unit to each peer's flag in the course of an operation, split over its
  /// blocks (so launches of different sizes may follow each other); the flag of a set stands at flag_target
  /// afterwards.
  std::uint64_t flag_target;
  std::uint64_t timeout_ns;
  std::uint64_t
      delay_seed;  ///< not 0: every block sleeps a random time before it publishes, signals and reads
  std::uint32_t delay_max_ns;
  ArenaOffsets offsets;
  bool one_device;            ///< every rank of the world lives on this device
  std::uint64_t* abort_word;  ///< 0, or an Abort record packed by pack_abort
  Stamp* stamps;              ///< [rank of this launch][blocks_per_rank], or null
  int own_tokens;             ///< capacity of the token list of one block
  std::int32_t tokens[max_ranks];
  char* peer[max_ranks];  ///< arena of each rank as this device sees it; null = not load/store reachable
};
inline constexpr std::uint64_t flag_unit = 1u << 16;

/// Where a selection went: destination rank in the high byte, row below; no_row where masked.
inline constexpr std::uint32_t no_row = 0xffffffffu;
inline constexpr int row_bits = 24;

/// Who gave up waiting for whom.
enum class WaitKind : std::uint8_t { counts = 1, dispatch_data, combine_data };
constexpr std::uint64_t pack_abort(WaitKind kind, int waiter, int awaited) {
  return std::uint64_t{1} << 63 | static_cast<std::uint64_t>(kind) << 32 |
         static_cast<std::uint64_t>(waiter) << 16 | static_cast<std::uint64_t>(awaited);
}

}  // namespace epskew::cuda
