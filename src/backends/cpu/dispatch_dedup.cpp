#include "backends/cpu/dispatch_dedup.hpp"

#include <cstring>

#include "exchange/kernels.hpp"

namespace epskew::cpu {
namespace {

void add_expert(MessageHeader& header, int token, const Operation::Selection& selection) {
  const auto n = static_cast<std::size_t>(header.num_experts++);
  header.token = token;
  header.expert[n] = static_cast<std::int32_t>(selection.local_expert);
  header.slot[n] = selection.slot;
  header.weight[n] = selection.weight;
}

}  // namespace

void DedupDispatch::send(const Operation& operation) {
  const auto ranks = static_cast<std::size_t>(operation.shape.num_ranks);
  std::vector<std::size_t> next_message(ranks);
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    next_message[rank] = operation.plan.first_message_at(static_cast<int>(rank));
  }
  std::vector<MessageHeader> headers(ranks);
  for (int token = 0; token < operation.num_tokens(); ++token) {
    std::fill(headers.begin(), headers.end(), MessageHeader{});
    operation.for_each_selection(token, [&](const Operation::Selection& selection) {
      add_expert(headers[static_cast<std::size_t>(selection.rank)], token, selection);
    });
    for (std::size_t rank = 0; rank < ranks; ++rank) {
      if (headers[rank].num_experts == 0) continue;
      const ArenaView& to = operation.arenas[rank];
      const std::size_t message = next_message[rank]++;
      to.inbox_headers()[message] = headers[rank];
      caster_.add_place(to.inbox_rows() + message * operation.payload_bytes(),
                        to.inbox_scales() + message * operation.scales_bytes());
    }
    caster_.send(operation, token);
  }
}

void DedupDispatch::receive(const Operation& operation) {
  const auto ranks = static_cast<std::size_t>(operation.shape.num_ranks);
  std::vector<std::int32_t> next_row(static_cast<std::size_t>(operation.shape.experts_per_rank()));
  if (operation.variants.dispatch == DispatchVariant::rank_major) {
    // Rows of a lost source stay gaps; they must not refer to messages of an earlier operation.
    std::fill_n(operation.mine().storage_row(), operation.plan.num_rows(), 0);
  }
  for (std::size_t source = 0; source < ranks; ++source) {
    for (std::size_t expert = 0; expert < next_row.size(); ++expert) {
      next_row[expert] = operation.plan.source_range()[expert * ranks + source].begin;
    }
    const RowRange messages = operation.plan.messages_from(static_cast<int>(source));
    for (std::int32_t i = 0; i < messages.count; ++i) {
      deliver(operation, static_cast<std::size_t>(messages.begin + i), next_row);
    }
  }
  finish_streaming();
}

void DedupDispatch::deliver(const Operation& operation, std::size_t message,
                            std::vector<std::int32_t>& next_row) const {
  const ArenaView& mine = operation.mine();
  const MessageHeader& header = mine.inbox_headers()[message];
  const std::size_t bytes = operation.payload_bytes();
  const std::size_t scales = operation.scales_bytes();
  for (std::size_t i = 0; i < static_cast<std::size_t>(header.num_experts); ++i) {
    const auto row = static_cast<std::size_t>(next_row[static_cast<std::size_t>(header.expert[i])]++);
    mine.source_token()[row] = header.token;
    if (operation.variants.combine != CombineVariant::pull) mine.source_slot()[row] = header.slot[i];
    if (operation.variants.combine == CombineVariant::prereduce) mine.source_weight()[row] = header.weight[i];
    if (operation.variants.dispatch == DispatchVariant::rank_major) {
      mine.storage_row()[row] = static_cast<std::int32_t>(message);
    } else {
      stream_copy(mine.inbox_rows() + message * bytes, mine.rows() + row * bytes, bytes);
      std::memcpy(mine.scales() + row * scales, mine.inbox_scales() + message * scales, scales);
    }
  }
}

void DedupDispatch::describe(const Operation& operation, DispatchOutput& output) const {
  const ArenaView& mine = operation.mine();
  const auto rows = static_cast<std::size_t>(operation.plan.num_rows());
  output.source_token = {mine.source_token(), rows};
  if (operation.variants.dispatch == DispatchVariant::rank_major) {
    output.storage_row = {mine.storage_row(), rows};
    describe_payload(operation, mine.inbox_rows(), mine.inbox_scales(),
                     static_cast<std::size_t>(operation.plan.num_messages()), output);
  } else {
    describe_payload(operation, mine.rows(), mine.scales(), rows, output);
  }
}

}  // namespace epskew::cpu
