#include "backends/mpi/rank_block.hpp"

namespace epskew::mpi {
namespace {

std::size_t round_up(std::size_t bytes) {
  return (bytes + BlockLayout::line - 1) / BlockLayout::line * BlockLayout::line;
}

}  // namespace

BlockLayout::BlockLayout(const ExchangeShape& shape, std::size_t payload_bytes)
    : entry_bytes_(sizeof(BlockEntry) + static_cast<std::size_t>(shape.topk) * sizeof(BlockSelection)),
      payload_bytes_(round_up(payload_bytes)) {}

std::size_t BlockLayout::index_bytes(int num_messages) const {
  return round_up(sizeof(BlockHeader) + static_cast<std::size_t>(num_messages) * entry_bytes_);
}

std::size_t BlockLayout::block_bytes(int num_messages) const {
  return index_bytes(num_messages) + static_cast<std::size_t>(num_messages) * payload_bytes_;
}

}  // namespace epskew::mpi
