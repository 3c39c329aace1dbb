#include "backends/mpi/alltoallv_exchange.hpp"

#include <cstring>
#include <numeric>
#include <utility>

#include "backends/mpi/datatype.hpp"
#include "backends/mpi/lines.hpp"
#include "backends/mpi/simulated.hpp"

namespace epskew::mpi {
AlltoallvExchange::AlltoallvExchange(const Setting& setting)
    : MpiExchange(setting),
      batches_(static_cast<std::size_t>(setting.options.micro_batches), Batch(setting.shape)),
      groups_(every_expert_alone(setting.shape.num_experts)),
      message_type_(bytes_type(message_bytes())),
      line_type_(bytes_type(line_bytes)) {}

AlltoallvExchange::~AlltoallvExchange() {
  MPI_Type_free(&message_type_);
  MPI_Type_free(&line_type_);
}

// The simulator knows one schedule for the calls that return at once, all messages on their way together,
// which takes it hours for hundreds of ranks. For the blocking calls it has the schedules of MPI libraries.
void AlltoallvExchange::start_alltoall(const void* to, void* from, int ints, MPI_Request& request) const {
  if (is_simulated) {
    return check(MPI_Alltoall(to, ints, MPI_INT, from, ints, MPI_INT, comm()), "MPI_Alltoall");
  }
  check(MPI_Ialltoall(to, ints, MPI_INT, from, ints, MPI_INT, comm(), &request), "MPI_Ialltoall");
}

void AlltoallvExchange::start_alltoallv(const Side& to, const Side& from, MPI_Datatype type,
                                        MPI_Request& request) const {
  const Blocks& sent = to.blocks;
  const Blocks& received = from.blocks;
  if (is_simulated) {
    return check(MPI_Alltoallv(to.data, sent.count.data(), sent.begin.data(), type, from.data,
                               received.count.data(), received.begin.data(), type, comm()),
                 "MPI_Alltoallv");
  }
  check(MPI_Ialltoallv(to.data, sent.count.data(), sent.begin.data(), type, from.data, received.count.data(),
                       received.begin.data(), type, comm(), &request),
        "MPI_Ialltoallv");
}

AlltoallvExchange::Blocks AlltoallvExchange::blocks_of(const std::vector<std::int32_t>& counts) const {
  const auto experts = static_cast<std::ptrdiff_t>(shape().experts_per_rank());
  std::vector<int> sums;
  for (int peer = 0; peer < num_ranks(); ++peer) {
    const auto first = counts.begin() + peer * experts;
    sums.push_back(std::accumulate(first, first + experts, 0));
  }
  return one_behind_the_other(std::move(sums));
}

AlltoallvExchange::Blocks AlltoallvExchange::one_behind_the_other(std::vector<int> counts) {
  Blocks blocks{std::move(counts), {}};
  blocks.begin.resize(blocks.count.size());
  std::exclusive_scan(blocks.count.begin(), blocks.count.end(), blocks.begin.begin(), 0);
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
  start_alltoall(state.sent.data(), state.arriving.data(), experts, state.request);
  pack(state, batch);
  control().wait(state.request);
  state.to = blocks_of(state.sent);
  state.from = blocks_of(state.arriving);
  grow(state.receive_buffer, static_cast<std::size_t>(state.from.total()) * message_bytes());
  start_alltoallv({state.send_buffer.data(), state.to}, {state.receive_buffer.data(), state.from},
                  message_type_, state.request);
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

void AlltoallvExchange::pack_results(Batch& state) {
  grow(state.results, static_cast<std::size_t>(state.from.total()) * result_row().capacity);
  std::byte* out = state.results.data();
  std::vector<int> lines;
  for (int source = 0; source < num_ranks(); ++source) {
    const std::byte* const first = out;
    for (int expert = 0; expert < shape().experts_per_rank(); ++expert) {
      const RowRange range =
          state.received.source_range()[static_cast<std::size_t>(expert * num_ranks() + source)];
      for (std::int32_t row = range.begin; row < range.begin + range.count; ++row) {
        out += result_row().encode(state.received.result(row), out);
      }
    }
    lines.push_back(static_cast<int>(static_cast<std::size_t>(out - first) / line_bytes));
  }
  state.results_to = one_behind_the_other(std::move(lines));
}

/// How long coded results are is known only to who coded them.
void AlltoallvExchange::agree_on_lines(Batch& state) {
  std::vector<int> lines(state.to.count);
  if (!result_row().is_coded()) {
    for (int& rows : lines) rows *= static_cast<int>(result_row().capacity / line_bytes);
  } else {
    start_alltoall(state.results_to.count.data(), lines.data(), 1, state.request);
    control().wait(state.request);
  }
  state.results_from = one_behind_the_other(std::move(lines));
}

void AlltoallvExchange::combine_send(int batch) {
  control().enter("combine_send");
  Batch& state = at(batch);
  pack_results(state);
  agree_on_lines(state);
  grow(state.returned, static_cast<std::size_t>(state.results_from.total()) * line_bytes);
  start_alltoallv({state.results.data(), state.results_to}, {state.returned.data(), state.results_from},
                  line_type_, state.request);
}

void AlltoallvExchange::combine_recv(int batch) {
  control().enter("combine_recv");
  Batch& state = at(batch);
  control().wait(state.request);
  // Results come back in the order in which the selections were packed, owner by owner.
  std::vector<const std::byte*> rows;
  for (std::size_t owner = 0; owner < state.to.count.size(); ++owner) {
    const auto first = static_cast<std::size_t>(state.results_from.begin[owner]) * line_bytes;
    result_row().locate(state.returned.data() + first, static_cast<std::size_t>(state.to.count[owner]), rows);
  }
  reduce(batch, state.order.pick(rows), state.combined);
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
    use.touched += state.received.bytes() +
                   static_cast<std::int64_t>(state.send_buffer.size() + state.receive_buffer.size() +
                                             state.results.size() + state.returned.size() +
                                             state.combined.size() * sizeof(BFloat16));
  }
  use.reserved = use.touched;  // grown on demand
  return use;
}

}  // namespace epskew::mpi
