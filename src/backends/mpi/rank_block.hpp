#pragma once

/// All messages of one rank for another (or for a node) as one contiguous block: header, index, payloads.
///
/// A token is in a block once, however many of its experts live there; its index entry lists them. So a block
/// has at most M messages, and its place can be reserved without knowing the routing.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "backends/mpi/wire_row.hpp"
#include "epskew/exchange/exchange.hpp"

namespace epskew::mpi {

struct BlockHeader {
  std::int32_t num_messages = 0;
  std::int32_t num_selections = 0;
  /// Where the results of the block's selections belong, in rows from the start of the sender's result area.
  std::int32_t first_result = 0;
  std::int32_t reserved = 0;
};

/// One selection of a message.
struct BlockSelection {
  std::int32_t expert;  ///< global
  float weight;
};

/// One message: a token and its selections here, in top-k order.
struct BlockEntry {
  std::int32_t token;
  std::int32_t num_selections;
  // BlockSelection[topk] follows
};

/// Offsets inside a block; the same for every block of a world.
class BlockLayout {
 public:
  BlockLayout(const ExchangeShape& shape, std::size_t payload_bytes);

  std::size_t entry_bytes() const { return entry_bytes_; }
  std::size_t payload_bytes() const { return payload_bytes_; }
  /// Bytes of a block with so many messages: whole lines (lines.hpp).
  std::size_t block_bytes(int num_messages) const;

  BlockHeader& header(std::byte* block) const { return *reinterpret_cast<BlockHeader*>(block); }
  BlockEntry& entry(std::byte* block, int message) const {
    return *reinterpret_cast<BlockEntry*>(block + sizeof(BlockHeader) +
                                          static_cast<std::size_t>(message) * entry_bytes_);
  }
  BlockSelection* selections(BlockEntry& entry) const {
    return reinterpret_cast<BlockSelection*>(&entry + 1);
  }
  /// Payloads lie behind the index, so their place depends on the number of messages.
  std::byte* payload(std::byte* block, int num_messages, int message) const {
    return block + payload_begin(num_messages, message);
  }
  /// Where the payload of `message` begins, and everything before it ends; `message` may be `num_messages`.
  std::size_t payload_begin(int num_messages, int message) const {
    return index_bytes(num_messages) + static_cast<std::size_t>(message) * payload_bytes_;
  }

 private:
  std::size_t index_bytes(int num_messages) const;
  std::size_t entry_bytes_;
  std::size_t payload_bytes_;
};

}  // namespace epskew::mpi
