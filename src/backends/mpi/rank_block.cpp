#include "backends/mpi/rank_block.hpp"

#include "backends/mpi/lines.hpp"

namespace epskew::mpi {

BlockLayout::BlockLayout(const ExchangeShape& shape, std::size_t payload_bytes)
    : entry_bytes_(sizeof(BlockEntry) + static_cast<std::size_t>(shape.topk) * sizeof(BlockSelection)),
      payload_bytes_(whole_lines(payload_bytes)) {}

std::size_t BlockLayout::index_bytes(int num_messages) const {
  return whole_lines(sizeof(BlockHeader) + static_cast<std::size_t>(num_messages) * entry_bytes_);
}

std::size_t BlockLayout::block_bytes(int num_messages) const {
  return payload_begin(num_messages, num_messages);
}

}  // namespace epskew::mpi
