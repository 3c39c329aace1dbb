#pragma once

/// One result as it travels back: the bf16 row itself, or coded (LogFMT-10), which takes as many bytes as its
/// values need. It is a whole number of lines (lines.hpp), and so is every message of rows.

#include <cstddef>
#include <span>
#include <vector>

#include "epskew/exchange/shape.hpp"
#include "epskew/support/bfloat16.hpp"

namespace epskew::mpi {

struct ResultRow {
  ResultRow(const ExchangeShape& shape, CombineFormat combine_format);

  CombineFormat format;
  int hidden;
  std::size_t capacity;  ///< bytes; no row takes more, and a bf16 row takes exactly these

  bool is_coded() const { return format != CombineFormat::bf16; }
  /// Writes `result` [H] as it travels to `out`, which has room for `capacity` bytes; returns the bytes used.
  std::size_t encode(const BFloat16* result, std::byte* out) const;
  /// Bytes of a row that encode() wrote.
  std::size_t bytes(const std::byte* row) const;
  /// [H] values of a row: the row itself where it is not coded, else they are written to `room` [H].
  const BFloat16* decode(const std::byte* row, BFloat16* room) const;
  /// Results travel in parts, so that the first are summed while the last are being packed.
  struct Part {
    std::size_t first, count;  ///< rows
  };
  /// The parts of `rows` rows, in order; none for no rows.
  std::vector<Part> parts(std::size_t rows) const;
  /// Appends where each of `count` rows begins that lie one behind the other from `first` on.
  void locate(const std::byte* first, std::size_t count, std::vector<const std::byte*>& rows) const;
};

}  // namespace epskew::mpi
