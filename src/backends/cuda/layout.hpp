#pragma once

/// Where everything lives in one rank's arena: the same offsets on every rank, so that a peer's address is
/// its base plus an offset. Plain data, readable by host and device code.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "backends/cuda/algorithms.hpp"
#include "epskew/exchange/shape.hpp"

namespace epskew::cuda {

/// Byte offsets into an arena.
///
/// Per buffer set (D = 2·w of them), written by peers:
///   count_cells       u64 [R src][E]             {epoch:32 | count:32}, one writer each
///   message_cells     u64 [R src]                the same for messages; headers only
///   dispatch_flags    u64 [R src]                arrivals, see Launch::flag_target
///   combine_flags     u64 [R src]                the same
///   source_tokens     i32 [max_rows]
///   scales            f32 [max_rows][H/128], or u8 for ue8m0; none for bf16
///   rows              [max_rows][row bytes]
///   return_addresses  u32 [max_rows]             pack_return; push only
///   headers           u32 [R src][M][header_words(K)]   headers only, see launch.hpp
///   message_scales    [R src][M][scale bytes]    dedup only
///   message_rows      [R src][M][row bytes]      dedup only
///   returned          bf16 [M][K][H] (push) or [M][min(K, R)][H] (prereduce), in top-k or rank order
/// Per buffer set, written by the owner:
///   sent_rows        u32 [M][K]                 {rank:8 | row:24} of each selection, no_row where masked
///   numbers          i32 [M][K]                 index of each selection among this rank's rows of its expert
///   message_numbers  i32 [M][K]                 index of its token among this rank's messages to its rank;
///   headers contributions    i32 [M]                    destination ranks of each token; headers only
///   source_ranges     RowRange [L][R]
///   expert_begin      i32 [L+1]
///   expert_out        bf16 [max_rows][H]         read by peers in combine
///   encoded           [max_rows][encoded row]    LogFMT-10 only, read by peers in combine
/// Where peers do not reach the received rows (dedup) or the expert outputs (push, prereduce), these are
/// tensors of a micro-batch behind everything else, one of each: rows, scales, source_tokens,
/// return_addresses; expert_out. Per micro-batch, the owner's alone: x bf16 [M][H], topk i32 [M][K], weights
/// f32 [M][K], combined bf16 [M][H].
struct ArenaOffsets {  // in the order in which direct and pull need them
  std::uint64_t count_cells = 0;
  std::uint64_t dispatch_flags = 0;
  std::uint64_t combine_flags = 0;
  std::uint64_t sent_rows = 0;
  std::uint64_t expert_out = 0;
  std::uint64_t weights = 0;
  std::uint64_t combined = 0;
  std::uint64_t x = 0;
  std::uint64_t topk = 0;
  std::uint64_t numbers = 0;
  std::uint64_t rows = 0;
  std::uint64_t scales = 0;
  std::uint64_t source_tokens = 0;
  std::uint64_t source_ranges = 0;
  std::uint64_t expert_begin = 0;
  std::uint64_t message_numbers = 0;
  std::uint64_t message_cells = 0;
  std::uint64_t headers = 0;
  std::uint64_t message_scales = 0;
  std::uint64_t message_rows = 0;
  std::uint64_t contributions = 0;
  std::uint64_t return_addresses = 0;
  std::uint64_t returned = 0;
  std::uint64_t encoded = 0;
};

inline constexpr std::uint64_t line_bytes = 128;  ///< every region starts on a line

/// Bytes set aside for one LogFMT-10 row: a slot of 256 bytes a scale group, since a group may travel as
/// bf16, and a word {min, max} a group. Of a coded group 160 + 4 bytes are written and read.
std::uint64_t encoded_row_bytes(int hidden);

/// How many bytes of scales one row has on the wire.
std::uint64_t scale_row_bytes(DispatchFormat format, int hidden);

class ArenaLayout {
 public:
  ArenaLayout(const ExchangeShape& shape, const ExchangeOptions& options, Algorithms algorithms = {});

  /// The offsets that an operation on buffer set `set` of micro-batch `batch` uses.
  ArenaOffsets at(int set, int batch) const;
  /// Size of an arena, a multiple of 4096.
  std::uint64_t bytes() const { return bytes_; }
  /// Of them, what ranks exchange through; the rest are tensors that only the owner touches.
  std::uint64_t exchange_bytes() const { return tensors_begin_; }
  /// Cells and flags of a set lie in [count_cells, count_cells + flag_bytes()).
  std::uint64_t flag_bytes() const { return flag_bytes_; }
  int num_sets() const { return 2 * micro_batches_; }

 private:
  using Member = std::uint64_t ArenaOffsets::*;
  /// Hands out offsets one after the other, each on a 128-byte line.
  struct Region {
    std::uint64_t next = 0;
    std::vector<Member> members;
    std::uint64_t take(std::uint64_t bytes);
  };

  void carve_set(const ExchangeShape& shape, const ExchangeOptions& options);
  void carve_rows(Region& region, const ExchangeShape& shape, const ExchangeOptions& options);
  void carve_messages(const ExchangeShape& shape, const ExchangeOptions& options);
  void carve_batch(const ExchangeShape& shape);
  void place(Region& region, Member member, std::uint64_t bytes);

  int micro_batches_;
  Algorithms algorithms_;
  ArenaOffsets first_;  ///< set 0, micro-batch 0
  Region set_;          ///< one of each for every buffer set
  Region batch_;        ///< one of each for every micro-batch
  Region tensors_;      ///< the same, behind everything that peers touch
  std::uint64_t flag_bytes_ = 0;
  std::uint64_t tensors_begin_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace epskew::cuda
