#include "backends/mpi/block_receiver.hpp"

#include <algorithm>
#include <cstring>

namespace epskew::mpi {

BlockReceiver::BlockReceiver(const ExchangeShape& shape, const WireRow& wire, int rank)
    : shape_(shape),
      wire_(&wire),
      layout_(shape, wire.stride),
      first_expert_(rank * shape.experts_per_rank()),
      received_(shape),
      counts_(static_cast<std::size_t>(shape.num_experts)),
      row_of_(static_cast<std::size_t>(shape.num_ranks)),
      num_results_(row_of_.size()),
      first_result_(row_of_.size()) {}

void BlockReceiver::expand(std::span<std::byte* const> blocks) {
  count(blocks);
  received_.lay_out(counts_, *wire_);
  for (int source = 0; source < shape_.num_ranks; ++source)
    store(source, blocks[static_cast<std::size_t>(source)]);
}

void BlockReceiver::count(std::span<std::byte* const> blocks) {
  std::fill(counts_.begin(), counts_.end(), 0);
  for (std::size_t source = 0; source < blocks.size(); ++source) {
    const BlockHeader& header = layout_.header(blocks[source]);
    num_results_[source] = header.num_selections;
    first_result_[source] = header.first_result;
    std::int32_t* counts = counts_.data() + source * static_cast<std::size_t>(shape_.experts_per_rank());
    for (int message = 0; message < header.num_messages; ++message) {
      BlockEntry& entry = layout_.entry(blocks[source], message);
      const BlockSelection* selections = layout_.selections(entry);
      for (int i = 0; i < entry.num_selections; ++i) ++counts[selections[i].expert - first_expert_];
    }
  }
}

void BlockReceiver::store(int source, std::byte* block) {
  const int num_messages = layout_.header(block).num_messages;
  std::vector<std::int32_t>& rows = row_of_[static_cast<std::size_t>(source)];
  rows.clear();
  for (int message = 0; message < num_messages; ++message) {
    BlockEntry& entry = layout_.entry(block, message);
    const std::byte* payload = layout_.payload(block, num_messages, message);
    const BlockSelection* selections = layout_.selections(entry);
    for (int i = 0; i < entry.num_selections; ++i) {
      const std::int32_t row = received_.next_row(selections[i].expert - first_expert_, source);
      received_.store(row, payload, entry.token, *wire_);
      rows.push_back(row);
    }
  }
}

std::size_t BlockReceiver::gather(int source, const ResultRow& format, std::byte* out) const {
  const std::byte* const first = out;
  for (const std::int32_t row : row_of_[static_cast<std::size_t>(source)]) {
    out += format.encode(received_.result(row), out);
  }
  return static_cast<std::size_t>(out - first);
}

}  // namespace epskew::mpi
