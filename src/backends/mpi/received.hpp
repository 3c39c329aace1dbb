#pragma once

/// What one rank received in a dispatch, in memory of its own that grows to what the routing needs.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "backends/mpi/wire_row.hpp"
#include "epskew/exchange/exchange.hpp"

namespace epskew::mpi {

class Received {
 public:
  explicit Received(const ExchangeShape& shape) : shape_(shape) {}

  /// `counts` [R][L]: tokens from every source for every local expert. Lays out the rows by expert, then
  /// source.
  void lay_out(std::span<const std::int32_t> counts, const WireRow& wire);
  /// The row of the next token from `source` for `local_expert`; call once for each, in the source's order of
  /// tokens.
  std::int32_t next_row(int local_expert, int source);
  /// Stores a token that arrived.
  void store(std::int32_t row, const std::byte* payload, std::int32_t token, const WireRow& wire);

  DispatchOutput output(DispatchFormat format) const;
  std::span<BFloat16> expert_output() { return {expert_output_.data(), num_values()}; }
  const BFloat16* result(std::int32_t row) const {
    return expert_output_.data() + static_cast<std::size_t>(row) * static_cast<std::size_t>(shape_.hidden);
  }
  std::span<const RowRange> source_range() const { return source_range_; }
  std::size_t num_rows() const {
    return static_cast<std::size_t>(expert_begin_.empty() ? 0 : expert_begin_.back());
  }
  std::int64_t bytes() const;

 private:
  std::size_t num_values() const { return num_rows() * static_cast<std::size_t>(shape_.hidden); }
  std::size_t cell(int local_expert, int source) const {
    return static_cast<std::size_t>(local_expert) * static_cast<std::size_t>(shape_.num_ranks) +
           static_cast<std::size_t>(source);
  }

  ExchangeShape shape_;
  // Sized for the largest routing so far: a smaller one must not shrink them, or the next would pay for pages
  // again.
  std::vector<std::byte> rows_;
  std::vector<float> scales_;
  std::vector<std::uint8_t> scale_bytes_;
  std::vector<std::int32_t> source_token_;
  std::vector<BFloat16> expert_output_;
  std::vector<std::int32_t> expert_begin_;  ///< [L+1]
  std::vector<RowRange> source_range_;      ///< [L][R]
  std::vector<std::int32_t> next_row_;      ///< [L][R]
};

/// Grows `buffer` to hold `size` elements; never shrinks it.
template <class T>
void grow(std::vector<T>& buffer, std::size_t size) {
  if (buffer.size() < size) buffer.resize(size);
}

}  // namespace epskew::mpi
