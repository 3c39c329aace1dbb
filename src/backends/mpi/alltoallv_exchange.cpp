#include "backends/mpi/alltoallv_exchange.hpp"

#include <cstring>
#include <numeric>

#include "backends/mpi/datatype.hpp"

namespace epskew::mpi {
AlltoallvExchange::AlltoallvExchange(const Setting& setting)
    : MpiExchange(setting),
      batches_(static_cast<std::size_t>(setting.options.micro_batches), Batch(setting.shape)),
      groups_(every_expert_alone(setting.shape.num_experts)),
      message_type_(bytes_type(message_bytes())),
      result_type_(bytes_type(static_cast<std::size_t>(setting.shape.hidden) * sizeof(BFloat16))) {}

AlltoallvExchange::~AlltoallvExchange() {
  MPI_Type_free(&message_type_);
  MPI_Type_free(&result_type_);
}

AlltoallvExchange::Blocks AlltoallvExchange::blocks_of(const std::vector<std::int32_t>& counts) const {
  const auto experts = static_cast<std::ptrdiff_t>(shape().experts_per_rank());
  Blocks blocks;
  int begin = 0;
  for (int peer = 0; peer < num_ranks(); ++peer) {
    const auto first = counts.begin() + peer * experts;
    blocks.begin.push_back(begin);
    blocks.count.push_back(std::accumulate(first, first + experts, 0));
    begin += blocks.count.back();
  }
  return blocks;
}

void AlltoallvExchange::dispatch_send(int batch) {
  control().enter("dispatch_send");
  Batch& state = at(batch);
  const int experts = shape().experts_per_rank();
  state.order = order_selections(input(batch).topk_idx, groups_);
  state.sent.resize(static_cast<std::size_t>(shape().num_experts));
  state.arriving.resize(state.sent.size());
  for (int expert = 0; expert < shape().num_experts; ++expert) {
    state.sent[static_cast<std::size_t>(expert)] = state.order.count(expert);
  }
  check(MPI_Ialltoall(state.sent.data(), experts, MPI_INT32_T, state.arriving.data(), experts, MPI_INT32_T,
                      comm(), &state.request),
        "MPI_Ialltoall");
  pack(state, batch);
  control().wait(state.request);
  state.to = blocks_of(state.sent);
  state.from = blocks_of(state.arriving);
  grow(state.receive_buffer, static_cast<std::size_t>(state.from.total()) * message_bytes());
  check(MPI_Ialltoallv(state.send_buffer.data(), state.to.count.data(), state.to.begin.data(), message_type_,
                       state.receive_buffer.data(), state.from.count.data(), state.from.begin.data(),
                       message_type_, comm(), &state.request),
        "MPI_Ialltoallv");
}

/// Converts every token once, at its first selection; the others are copies.
void AlltoallvExchange::pack(Batch& state, int batch) {
  grow(state.send_buffer, static_cast<std::size_t>(state.order.size()) * message_bytes());
  const auto topk = static_cast<std::size_t>(shape().topk);
  for (std::int32_t index = 0; index < num_tokens(batch); ++index) {
    const std::byte* first = nullptr;
    for (std::size_t k = 0; k < topk; ++k) {
      const std::int32_t position = state.order.position[static_cast<std::size_t>(index) * topk + k];
      if (position < 0) continue;
      std::byte* message = state.send_buffer.data() + static_cast<std::size_t>(position) * message_bytes();
      if (first == nullptr) {
        wire().encode(token(batch, index), message);
        std::memcpy(message + wire().stride, &index, sizeof(index));
        first = message;
      } else {
        std::memcpy(message, first, message_bytes());
      }
    }
  }
}

void AlltoallvExchange::dispatch_recv(int batch) {
  control().enter("dispatch_recv");
  Batch& state = at(batch);
  control().wait(state.request);
  state.received.lay_out(state.arriving, wire());
  unpack(state);
}

void AlltoallvExchange::unpack(Batch& state) {
  const std::byte* message = state.receive_buffer.data();
  const auto experts = static_cast<std::size_t>(shape().experts_per_rank());
  for (int source = 0; source < num_ranks(); ++source) {
    for (std::size_t expert = 0; expert < experts; ++expert) {
      const std::int32_t count = state.arriving[static_cast<std::size_t>(source) * experts + expert];
      for (std::int32_t i = 0; i < count; ++i) {
        std::int32_t index = 0;
        std::memcpy(&index, message + wire().stride, sizeof(index));
        state.received.store(state.received.next_row(static_cast<int>(expert), source), message, index,
                             wire());
        message += message_bytes();
      }
    }
  }
}

void AlltoallvExchange::combine_send(int batch) {
  control().enter("combine_send");
  Batch& state = at(batch);
  const auto hidden = static_cast<std::size_t>(shape().hidden);
  grow(state.results, static_cast<std::size_t>(state.from.total()) * hidden);
  grow(state.returned, static_cast<std::size_t>(state.to.total()) * hidden);
  BFloat16* out = state.results.data();
  for (int source = 0; source < num_ranks(); ++source) {
    for (int expert = 0; expert < shape().experts_per_rank(); ++expert) {
      const RowRange range =
          state.received.source_range()[static_cast<std::size_t>(expert * num_ranks() + source)];
      const std::size_t values = static_cast<std::size_t>(range.count) * hidden;
      if (values > 0) std::memcpy(out, state.received.result(range.begin), values * sizeof(BFloat16));
      out += values;
    }
  }
  check(MPI_Ialltoallv(state.results.data(), state.from.count.data(), state.from.begin.data(), result_type_,
                       state.returned.data(), state.to.count.data(), state.to.begin.data(), result_type_,
                       comm(), &state.request),
        "MPI_Ialltoallv");
}

void AlltoallvExchange::combine_recv(int batch) {
  control().enter("combine_recv");
  Batch& state = at(batch);
  control().wait(state.request);
  const auto hidden = static_cast<std::size_t>(shape().hidden);
  state.combined.resize(static_cast<std::size_t>(num_tokens(batch)) * hidden);
  for (int index = 0; index < num_tokens(batch); ++index) {
    reduce_token(batch, index, state.returned.data(), state.order.position,
                 state.combined.data() + static_cast<std::size_t>(index) * hidden);
  }
}

DispatchOutput AlltoallvExchange::dispatch_output(int /*local*/, int batch) {
  return at(batch).received.output(options().dispatch);
}

std::span<BFloat16> AlltoallvExchange::expert_output(int /*local*/, int batch) {
  return at(batch).received.expert_output();
}

std::span<const BFloat16> AlltoallvExchange::combine_output(int /*local*/, int batch) {
  return at(batch).combined;
}

MemoryUse AlltoallvExchange::memory(int /*local*/) const {
  MemoryUse use;
  for (const Batch& state : batches_) {
    use.touched +=
        state.received.bytes() +
        static_cast<std::int64_t>(state.send_buffer.size() + state.receive_buffer.size() +
                                  (state.results.size() + state.returned.size() + state.combined.size()) *
                                      sizeof(BFloat16));
  }
  use.reserved = use.touched;  // grown on demand
  return use;
}

}  // namespace epskew::mpi
