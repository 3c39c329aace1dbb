#pragma once

/// A token's payload as it travels: the row in the dispatch format, then its scales.

#include <cstddef>
#include <vector>

#include "epskew/exchange/exchange.hpp"

namespace epskew::mpi {

/// Bytes of one scale as delivered: 4, 1 for exponent bytes, 0 without scales.
std::size_t scale_size(DispatchFormat format);

struct WireRow {
  WireRow(const ExchangeShape& shape, DispatchFormat dispatch_format);

  /// Writes the token `x` [H] as it travels.
  void encode(const BFloat16* x, std::byte* out);

  DispatchFormat format;
  int hidden;
  std::size_t row_size;     ///< payload bytes, at offset 0
  std::size_t scales_size;  ///< bytes of all scales, right behind
  std::size_t stride;       ///< both, rounded up to 16

 private:
  std::vector<float> scales_;  ///< scratch
};

}  // namespace epskew::mpi
