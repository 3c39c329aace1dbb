#include "backends/mpi/block_sender.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "backends/mpi/received.hpp"

namespace epskew::mpi {

BlockSender::BlockSender(const ExchangeShape& shape, WireRow& wire, std::vector<int> destination_of_rank)
    : shape_(shape),
      wire_(&wire),
      layout_(shape, wire.stride),
      destination_of_rank_(std::move(destination_of_rank)) {
  const int last = *std::max_element(destination_of_rank_.begin(), destination_of_rank_.end());
  tokens_.resize(static_cast<std::size_t>(last) + 1);
  first_result_.resize(tokens_.size());
  blocks_.resize(tokens_.size());
}

void BlockSender::begin(const RankInput& input) {
  input_ = input;
  for (auto& tokens : tokens_) tokens.clear();
  std::vector<std::int32_t> selections(tokens_.size(), 0);
  const std::size_t topk = static_cast<std::size_t>(shape_.topk);
  const std::size_t num_tokens = input.topk_idx.size() / topk;
  for (std::size_t i = 0; i < input.topk_idx.size(); ++i) {
    if (input.topk_idx[i] < 0) continue;
    const auto destination = static_cast<std::size_t>(destination_of(input.topk_idx[i]));
    const auto token = static_cast<std::int32_t>(i / topk);
    ++selections[destination];
    auto& tokens = tokens_[destination];
    if (tokens.empty() || tokens.back() != token) tokens.push_back(token);
  }
  std::int32_t first = 0;
  for (std::size_t destination = 0; destination < tokens_.size(); ++destination) {
    first_result_[destination] = first;
    first += selections[destination];
  }
  grow(converted_, num_tokens * wire_->stride);
  is_converted_.assign(num_tokens, 0);
}

const std::byte* BlockSender::encoded(std::int32_t token) {
  const auto t = static_cast<std::size_t>(token);
  std::byte* place = converted_.data() + t * wire_->stride;
  if (is_converted_[t] == 0) {
    wire_->encode(input_.x.data() + t * static_cast<std::size_t>(shape_.hidden), place);
    is_converted_[t] = 1;
  }
  return place;
}

int BlockSender::write_entry(BlockEntry& entry, std::int32_t token, int destination) const {
  const auto topk = static_cast<std::size_t>(shape_.topk);
  BlockSelection* out = layout_.selections(entry);
  int count = 0;
  for (std::size_t i = static_cast<std::size_t>(token) * topk; i < static_cast<std::size_t>(token + 1) * topk;
       ++i) {
    const std::int32_t expert = input_.topk_idx[i];
    if (expert < 0 || destination_of(expert) != destination) continue;
    out[count++] = {expert, input_.topk_weights[i]};
  }
  entry.token = token;
  entry.num_selections = count;
  return count;
}

std::span<const std::byte> BlockSender::pack(int destination) {
  return pack(destination, [](std::span<const std::byte>) {});
}

std::span<const std::byte> BlockSender::pack(int destination,
                                             const std::function<void(std::span<const std::byte>)>& packed) {
  const auto& tokens = tokens_of(destination);
  const int num_messages = static_cast<int>(tokens.size());
  std::vector<std::byte>& block = blocks_[static_cast<std::size_t>(destination)];
  grow(block, block_bytes(destination));
  BlockHeader& header = layout_.header(block.data());
  header = {num_messages, 0, first_result_[static_cast<std::size_t>(destination)], 0};
  for (int message = 0; message < num_messages; ++message) {
    const std::int32_t token = tokens[static_cast<std::size_t>(message)];
    header.num_selections += write_entry(layout_.entry(block.data(), message), token, destination);
  }
  const auto report = [&](int messages) {
    packed(std::span(block).first(layout_.payload_begin(num_messages, messages)));
  };
  report(0);
  for (int message = 0; message < num_messages; ++message) {
    const std::int32_t token = tokens[static_cast<std::size_t>(message)];
    std::memcpy(layout_.payload(block.data(), num_messages, message), encoded(token), wire_->stride);
    report(message + 1);
  }
  return std::span(block).first(block_bytes(destination));
}

std::int64_t BlockSender::bytes() const {
  std::size_t sum = converted_.size();
  for (const auto& block : blocks_) sum += block.size();
  return static_cast<std::int64_t>(sum);
}

}  // namespace epskew::mpi
