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
/// Rows that a lane of combine has in flight. A token's list of contributions is rounded up to whole batches.
inline constexpr int rows_in_flight = 8;
static_assert(max_topk == 2 * rows_in_flight, "places_of and combine_shared_bytes count on it");

/// Phases of one operation, as bits. `counts` is the part of dispatch_send that every rank must have done
/// before any rank can finish the rest: the lockstep driver launches it apart.
enum PhaseBits : unsigned { phase_counts = 1, phase_send = 2, phase_recv = 4 };
/// Of a kernel that is compiled for all of them and does those that its launch names.
inline constexpr unsigned any_phases = 0;

enum class ScaleRule : int { exact, power_of_two, exponent_byte };

/// A number that kernels divide by. They multiply by its reciprocal: a division takes some hundred cycles,
/// and several would stand one behind the other before the first load.
class Divisor {
 public:
  constexpr Divisor() : Divisor(1) {}
  constexpr explicit Divisor(int value) : value_(value), shift_(32) {
    while (std::uint64_t{1} << (shift_ - 32) < static_cast<std::uint64_t>(value)) ++shift_;
    const auto divisor = static_cast<std::uint64_t>(value);
    // 2^shift / value, rounded up: below 2^33, and too large by so little that every n below 2^31 comes out
    // right.
    reciprocal_ = ((std::uint64_t{1} << shift_) + divisor - 1) / divisor;
  }
  constexpr operator int() const { return value_; }
  /// For n from 0.
  friend constexpr int operator/(int n, const Divisor& divisor) {
    const auto wide = static_cast<std::uint64_t>(static_cast<std::uint32_t>(n));
    return static_cast<int>(wide * divisor.reciprocal_ >> divisor.shift_);
  }
  friend constexpr int operator%(int n, const Divisor& divisor) { return n - n / divisor * divisor.value_; }

 private:
  int value_;
  int shift_;
  std::uint64_t reciprocal_ = 0;
};

/// A set of ranks.
struct RankBits {
  std::uint64_t word[max_ranks / 64] = {};

  constexpr bool has(int rank) const { return (word[rank / 64] >> (rank % 64) & 1) != 0; }
  constexpr void add(int rank) { word[rank / 64] |= std::uint64_t{1} << (rank % 64); }
  constexpr bool any() const {
    bool any = false;
    for (const std::uint64_t bits : word) any = any || bits != 0;
    return any;
  }
};

/// First and last %globaltimer reading of one block, nanoseconds.
struct Stamp {
  std::uint64_t begin;
  std::uint64_t end;
};

struct Peer {
  char* arena;  ///< as this device sees it; null = not load/store reachable
  std::int32_t tokens;
  std::int32_t block_items;  ///< (token, span) items of that rank that each of its blocks has at least
};

/// Parameters that a kernel reads come from memory line by line, each a latency: what belongs together stands
/// together, what every launch needs first.
struct Launch {
  // This launch: ranks [first_rank, first_rank + gridDim.y).
  int first_rank;
  int num_ranks;
  int hidden;
  std::uint32_t epoch;  ///< 1, 2, … of this micro-batch
  Stamp* stamps;        ///< [rank of this launch][blocks_per_rank], or null
  /// Every rank adds flag_unit to each peer's flag in the course of an operation, split over its
  /// blocks (so launches of different sizes may follow each other); the flag of a set stands at flag_target
  /// afterwards.
  std::uint64_t flag_target;
  bool all_take_part;  ///< neither `lost` nor `stopped` has a rank
  bool one_device;     ///< every rank of the world lives on this device
  unsigned phases;
  std::uint32_t
      delay_seed;  ///< not 0: every block sleeps a random time before it publishes, signals and reads
  int own_tokens;  ///< capacity of the token list of one block
  // Shape.
  Divisor spans;  ///< of a token's channels that a warp handles at a time, dispatch_span or combine_span each
  Divisor topk;
  Divisor experts_per_rank;
  Divisor blocks_per_rank;  ///< gridDim.x
  Divisor num_experts;
  int max_tokens;  ///< M
  ScaleRule scale_rule;
  Algorithms algorithms;
  std::uint32_t encoded_stride;  ///< bytes of a LogFMT-10 row, its {min, max} words included
  std::uint32_t delay_max_ns;
  std::uint64_t timeout_ns;
  std::uint64_t* abort_word;  ///< 0, or an Abort record packed by pack_abort
  ArenaOffsets offsets;
  Peer peer[max_ranks];  ///< of a small world only its first lines are read
  RankBits lost;     ///< left out: not waited for, sent nothing, selections of their experts count as masked
  RankBits stopped;  ///< these do nothing, as if their processes had died (test aid)
};
inline constexpr std::uint64_t flag_unit = 1u << 16;

/// Where a selection went: destination rank in the high byte, row below; no_row where masked.
inline constexpr std::uint32_t no_row = 0xffffffffu;
inline constexpr int row_bits = 24;

/// Where a row's result goes, one word: source rank, token, place k among the token's selections.
inline constexpr int place_bits = 4;
inline constexpr int return_token_bits = 21;
constexpr std::uint32_t pack_return(int source, int token, int place) {
  return static_cast<std::uint32_t>(source) << (return_token_bits + place_bits) |
         static_cast<std::uint32_t>(token) << place_bits | static_cast<std::uint32_t>(place);
}
struct ReturnAddress {
  int source;
  int token;
  int place;
  constexpr explicit ReturnAddress(std::uint32_t word)
      : source(static_cast<int>(word >> (return_token_bits + place_bits))),
        token(static_cast<int>(word >> place_bits & ((1u << return_token_bits) - 1))),
        place(static_cast<int>(word & ((1u << place_bits) - 1))) {}
};

/// Words of a message header: {token}, {entries | contribution << 8}, then [K] {row:24 | place:8} and [K]
/// weights, of which as many are written as there are entries, in the order of local experts. `contribution`
/// counts the token's destination ranks below this one.
constexpr int header_words(int topk) {
  return (2 + 2 * topk + 3) / 4 * 4;
}

/// Who gave up waiting for whom.
enum class WaitKind : std::uint8_t { counts = 1, dispatch_data, combine_data };
struct Abort {
  WaitKind kind;
  int waiter;
  int awaited;
};
constexpr std::uint64_t pack_abort(WaitKind kind, int waiter, int awaited) {
  return std::uint64_t{1} << 63 | static_cast<std::uint64_t>(kind) << 32 |
         static_cast<std::uint64_t>(waiter) << 16 | static_cast<std::uint64_t>(awaited);
}

constexpr Abort unpack_abort(std::uint64_t word) {
  return {static_cast<WaitKind>(word >> 32 & 0xff), static_cast<int>(word >> 16 & 0xffff),
          static_cast<int>(word & 0xffff)};
}

}  // namespace epskew::cuda
