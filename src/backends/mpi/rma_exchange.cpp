#include "backends/mpi/rma_exchange.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace epskew::mpi {
namespace {

constexpr std::size_t cache_line = 64;

std::vector<int> every_rank_alone(int num_ranks) {
  std::vector<int> destinations(static_cast<std::size_t>(num_ranks));
  std::iota(destinations.begin(), destinations.end(), 0);
  return destinations;
}

}  // namespace

RmaExchange::RmaExchange(const Setting& setting)
    : MpiExchange(setting),
      destinations_(every_rank_alone(setting.shape.num_ranks)),
      groups_(group_experts(setting.shape.num_experts, destinations_)),
      batches_(static_cast<std::size_t>(setting.options.micro_batches),
               Batch(setting.shape, wire(), destinations_, rank())),
      layout_(make_layout()),
      window_(setting.comm, layout_.batch_bytes * batches_.size(), *setting.control) {
  for (int batch = 0; batch < options().micro_batches; ++batch) {
    std::memset(window_.data() + base(batch) + layout_.flags, 0, layout_.blocks - layout_.flags);
  }
  window_.open();
}

RmaExchange::Layout RmaExchange::make_layout() const {
  const auto ranks = static_cast<std::size_t>(num_ranks());
  const auto tokens = static_cast<std::size_t>(shape().max_tokens);
  Layout layout;
  layout.block_bytes = BlockLayout(shape(), wire().stride).block_bytes(shape().max_tokens);
  layout.blocks = layout.flags + 2 * ranks * cache_line;
  layout.results = layout.blocks + ranks * layout.block_bytes;
  layout.batch_bytes =
      layout.results + tokens * static_cast<std::size_t>(shape().topk) * result_row().capacity;
  return layout;
}

std::size_t RmaExchange::flag_offset(int batch, Flag flag, int source) const {
  const auto line = static_cast<std::size_t>(static_cast<int>(flag) * num_ranks() + source);
  return base(batch) + layout_.flags + line * cache_line;
}

void RmaExchange::raise_flags(int batch, Flag flag) {
  for (int turn = 0; turn < num_ranks(); ++turn) window_.flush(peer(turn));
  for (int turn = 0; turn < num_ranks(); ++turn) {
    window_.put_word(peer(turn), flag_offset(batch, flag, rank()), at(batch).operation);
  }
  for (int turn = 0; turn < num_ranks(); ++turn) window_.flush(peer(turn));
}

void RmaExchange::await_flags(int batch, Flag flag) {
  int source = 0;
  control().wait([&] {
    while (source < num_ranks() && window_.word(flag_offset(batch, flag, source)) >= at(batch).operation)
      ++source;
    return source == num_ranks();
  });
}

void RmaExchange::dispatch_send(int batch) {
  control().enter("dispatch_send");
  Batch& state = at(batch);
  ++state.operation;
  state.order = order_selections(input(batch).topk_idx, groups_);
  state.sender.begin(input(batch));
  const std::size_t place =
      base(batch) + layout_.blocks + static_cast<std::size_t>(rank()) * layout_.block_bytes;
  for (int turn = 0; turn < num_ranks(); ++turn) {
    const auto block = state.sender.pack(peer(turn));
    window_.put(peer(turn), place, block.data(), block.size());
  }
  raise_flags(batch, Flag::dispatch);
}

void RmaExchange::dispatch_recv(int batch) {
  control().enter("dispatch_recv");
  await_flags(batch, Flag::dispatch);
  Batch& state = at(batch);
  std::vector<std::byte*> blocks;
  std::size_t written = static_cast<std::size_t>(state.order.size()) * result_row().capacity;
  for (int source = 0; source < num_ranks(); ++source) {
    blocks.push_back(window_.data() + base(batch) + layout_.blocks +
                     static_cast<std::size_t>(source) * layout_.block_bytes);
    const BlockLayout& block = state.sender.layout();
    written += block.block_bytes(block.header(blocks.back()).num_messages);
  }
  state.window_bytes = std::max(state.window_bytes, written);
  state.receiver.expand(blocks);
}

void RmaExchange::combine_send(int batch) {
  control().enter("combine_send");
  Batch& state = at(batch);
  grow(state.results, state.receiver.received().num_rows() * result_row().capacity);
  std::byte* out = state.results.data();
  for (int turn = 0; turn < num_ranks(); ++turn) {
    const int source = peer(turn);
    const std::size_t bytes = state.receiver.gather(source, result_row(), out);
    const std::size_t place =
        static_cast<std::size_t>(state.receiver.first_result(source)) * result_row().capacity;
    window_.put(source, base(batch) + layout_.results + place, out, bytes);
    out += bytes;
  }
  raise_flags(batch, Flag::combine);
}

void RmaExchange::combine_recv(int batch) {
  control().enter("combine_recv");
  await_flags(batch, Flag::combine);
  Batch& state = at(batch);
  const std::byte* returned = window_.data() + base(batch) + layout_.results;
  std::vector<const std::byte*> rows;
  for (std::size_t owner = 0; owner + 1 < state.order.begin.size(); ++owner) {
    const auto first = static_cast<std::size_t>(state.order.begin[owner]);
    const auto count = static_cast<std::size_t>(state.order.count(static_cast<int>(owner)));
    result_row().locate(returned + first * result_row().capacity, count, rows);
  }
  reduce(batch, state.order.pick(rows), state.combined);
}

DispatchOutput RmaExchange::dispatch_output(int /*local*/, int batch) {
  return at(batch).receiver.received().output(options().dispatch);
}

std::span<BFloat16> RmaExchange::expert_output(int /*local*/, int batch) {
  return at(batch).receiver.received().expert_output();
}

std::span<const BFloat16> RmaExchange::combine_output(int /*local*/, int batch) {
  return at(batch).combined;
}

MemoryUse RmaExchange::memory(int /*local*/) const {
  MemoryUse use;
  for (const Batch& state : batches_) {
    use.touched += state.receiver.received().bytes() + state.sender.bytes() +
                   static_cast<std::int64_t>(state.results.size() + state.combined.size() * sizeof(BFloat16));
  }
  use.reserved = use.touched + static_cast<std::int64_t>(window_.size());
  for (const Batch& state : batches_) use.touched += static_cast<std::int64_t>(state.window_bytes);
  return use;
}

}  // namespace epskew::mpi
