#pragma once

/// Packs a rank's tokens into one block per destination, a destination at a time, so that a block can travel
/// while the next is packed. A destination is a set of ranks: one rank, or a node.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "backends/mpi/rank_block.hpp"
#include "epskew/exchange/exchange.hpp"

namespace epskew::mpi {

class BlockSender {
 public:
  /// `destination_of_rank` [R]; destinations are numbered from 0.
  BlockSender(const ExchangeShape& shape, WireRow& wire, std::vector<int> destination_of_rank);

  /// A new operation: finds out how much goes where. `input` is borrowed until the last pack().
  void begin(const RankInput& input);
  int num_messages(int destination) const { return static_cast<int>(tokens_of(destination).size()); }
  std::size_t block_bytes(int destination) const { return layout_.block_bytes(num_messages(destination)); }
  /// Packs the block for `destination`; it stays valid until the next pack() for it.
  std::span<const std::byte> pack(int destination);
  /// The same, and calls `packed` with what is complete so far, from the block's start on, after the index
  /// and after every payload.
  std::span<const std::byte> pack(int destination,
                                  const std::function<void(std::span<const std::byte>)>& packed);
  const BlockLayout& layout() const { return layout_; }
  /// The token as it travels, converted at its first use in this operation.
  const std::byte* encoded(std::int32_t token);
  std::int64_t bytes() const;

 private:
  int destination_of(std::int32_t expert) const {
    return destination_of_rank_[static_cast<std::size_t>(expert / shape_.experts_per_rank())];
  }
  const std::vector<std::int32_t>& tokens_of(int destination) const {
    return tokens_[static_cast<std::size_t>(destination)];
  }
  /// Returns the number of selections written.
  int write_entry(BlockEntry& entry, std::int32_t token, int destination) const;

  ExchangeShape shape_;
  WireRow* wire_;
  BlockLayout layout_;
  std::vector<int> destination_of_rank_;
  RankInput input_;
  std::vector<std::vector<std::int32_t>>
      tokens_;                                  ///< [destinations] tokens with a selection there, ascending
  std::vector<std::int32_t> first_result_;      ///< [destinations]
  std::vector<std::byte> converted_;            ///< [T] tokens as they travel
  std::vector<char> is_converted_;              ///< [T]
  std::vector<std::vector<std::byte>> blocks_;  ///< [destinations]
};

}  // namespace epskew::mpi
