#pragma once

/// Where everything lives in one rank's arena: the same offsets on every rank, so that a peer's address is
/// its base plus an offset. Plain data, readable by host and device code.

#include <cstddef>
#include <cstdint>

#include "epskew/exchange/shape.hpp"

namespace epskew::cuda {

/// Byte offsets into an arena.
///
/// Per buffer set (D = 2·w of them), written by peers:
///   count_cells       u64 [R src][E]             {epoch:32 | count:32}, one writer each
///   dispatch_flags    u64 [R src], 128 B apart   arrivals, see Launch::flag_target
///   combine_flags     u64 [R src], 128 B apart   epoch
///   source_tokens     i32 [max_rows]
///   scales            f32 [max_rows][H/128], or u8 for ue8m0; none for bf16
///   rows              [max_rows][row bytes]
/// Per buffer set, written by the owner:
///   sent_rows        u32 [M][K]                 {rank:8 | row:24} of each selection, no_row where masked
///   numbers          i32 [M][K]                 index of each selection among this rank's rows of its expert
///   source_ranges     RowRange [L][R]
///   expert_begin      i32 [L+1]
///   expert_out        bf16 [max_rows][H]         read by peers in combine
///   encoded           [max_rows][encoded row]    LogFMT-10 only, read by peers in combine
/// Per micro-batch, the owner's alone: x bf16 [M][H], topk i32 [M][K], weights f32 [M][K], combined bf16
/// [M][H].
struct ArenaOffsets {
  std::uint64_t count_cells = 0;
  std::uint64_t dispatch_flags = 0;
  std::uint64_t combine_flags = 0;
  std::uint64_t source_tokens = 0;
  std::uint64_t scales = 0;
  std::uint64_t rows = 0;
  std::uint64_t sent_rows = 0;
  std::uint64_t numbers = 0;
  std::uint64_t source_ranges = 0;
  std::uint64_t expert_begin = 0;
  std::uint64_t expert_out = 0;
  std::uint64_t encoded = 0;
  std::uint64_t x = 0;
  std::uint64_t topk = 0;
  std::uint64_t weights = 0;
  std::uint64_t combined = 0;
};

inline constexpr std::uint64_t flag_stride = 128;  ///< one flag a line: no two writers share one

/// Bytes set aside for one LogFMT-10 row: a slot of 256 bytes a scale group, since a group may travel as
/// bf16, and a word {min, max} a group. Of a coded group 160 + 4 bytes are written and read.
std::uint64_t encoded_row_bytes(int hidden);

/// How many bytes of scales one row has on the wire.
std::uint64_t scale_row_bytes(DispatchFormat format, int hidden);

class ArenaLayout {
 public:
  ArenaLayout(const ExchangeShape& shape, const ExchangeOptions& options);

  /// The offsets that an operation on buffer set `set` of micro-batch `batch` uses.
  ArenaOffsets at(int set, int batch) const;
  /// Size of an arena, a multiple of 4096.
  std::uint64_t bytes() const { return bytes_; }
  int num_sets() const { return 2 * micro_batches_; }

 private:
  int micro_batches_;
  ArenaOffsets first_;  ///< set 0, micro-batch 0
  std::uint64_t set_stride_ = 0;
  std::uint64_t batch_stride_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace epskew::cuda
