#pragma once

/// The loops that move and convert data. Bit-exact to the scalar definitions on every instruction set.

#include <cstddef>
#include <cstdint>
#include <span>

#include "epskew/support/bfloat16.hpp"

namespace epskew {

/// As quantise_fp8 of number_formats.hpp: x [hidden] → codes [hidden], scales [hidden/128].
void quantise_row(const BFloat16* x, int hidden, bool power_of_two, std::uint8_t* codes, float* scales);

/// One selection of a token: its result at the expert's rank, and its gate weight.
struct WeightedRow {
  const BFloat16* row;
  float weight;
};
/// out[i] = bf16(Σ weight·row[i]), in binary32 in the order of `rows`, each product and each sum rounded.
void reduce_rows(std::span<const WeightedRow> rows, int hidden, BFloat16* out);
/// The same where rows come from memory and this core will not read `out` again (64-byte aligned; not ordered
/// with later stores until finish_streaming()). `next` are the rows of the call after this one, or empty:
/// they are asked for while these are summed.
void reduce_rows_streaming(std::span<const WeightedRow> rows, std::span<const WeightedRow> next, int hidden,
                           BFloat16* out);

/// Copies past the caches (non-temporal stores): for data that this core will not read again. `to` 64-byte
/// aligned, `bytes` a multiple of 64. Not ordered with later stores until finish_streaming().
void stream_copy(const std::byte* from, std::byte* to, std::size_t bytes);
/// The same block to every place of `to`, `offset` bytes behind its begin.
void stream_copies(const std::byte* from, std::span<std::byte* const> to, std::size_t offset,
                   std::size_t bytes);
void finish_streaming();

/// As encode_logfmt10 and decode_logfmt10 of logfmt.hpp, x [hidden].
std::size_t encode_logfmt_row(const BFloat16* x, int hidden, std::byte* out);
void decode_logfmt_row(const std::byte* coded, int hidden, BFloat16* x);

/// Name of the instruction set in use, for `info`.
const char* instruction_set();

}  // namespace epskew
