#include "backends/mpi/node_exchange.hpp"

#include <algorithm>

#include "backends/mpi/datatype.hpp"
#include "backends/mpi/lines.hpp"
#include "backends/mpi/received.hpp"
#include "exchange/kernels.hpp"

namespace epskew::mpi {

NodeBatch NodeExchange::Batch::shared(NodeExchange& exchange, int index) {
  return {index,  &exchange.topology(),   &exchange.board_, &rows,
          &arena, &exchange.result_row(), exchange.comm()};
}

NodeExchange::Batch::Batch(NodeExchange& exchange, int index)
    : sender(exchange.shape(), exchange.wire(), exchange.topology().node_of_rank),
      rows(exchange.shape(), exchange.topology(), exchange.rank()),
      arena(exchange.node_, exchange.wire(), exchange.result_row(), exchange.control()),
      relay(exchange.shape(), exchange.wire(), shared(exchange, index), exchange.rank()),
      remotes(static_cast<std::size_t>(exchange.topology().num_nodes())) {}

NodeExchange::NodeExchange(const Setting& setting, std::optional<int> ranks_per_node)
    : MpiExchange(setting),
      node_(setting.comm, ranks_per_node, *setting.control),
      board_(node_, setting.shape, setting.options.micro_batches,
             num_members() * setting.shape.experts_per_rank(), *setting.control),
      groups_(group_experts(setting.shape.num_experts, topology().node_of_rank)),
      line_type_(bytes_type(line_bytes)) {
  for (int batch = 0; batch < setting.options.micro_batches; ++batch) {
    batches_.push_back(std::make_unique<Batch>(*this, batch));
  }
}

NodeExchange::~NodeExchange() {
  MPI_Type_free(&line_type_);
}

std::vector<std::int32_t> NodeExchange::count_tokens(int batch) const {
  std::vector<std::int32_t> counts(static_cast<std::size_t>(shape().num_experts), 0);
  for (const std::int32_t expert : input(batch).topk_idx) {
    if (expert >= 0) ++counts[static_cast<std::size_t>(expert)];
  }
  return counts;
}

void NodeExchange::publish_counts(int batch, const std::vector<std::int32_t>& counts) {
  Batch& state = at(batch);
  const auto out = board_.counts(batch, rank());
  for (int expert = 0; expert < shape().num_experts; ++expert) {
    const int place = state.rows.node_expert(expert);
    if (place >= 0) out[static_cast<std::size_t>(place)] = counts[static_cast<std::size_t>(expert)];
  }
  board_.counted(batch, rank()).store(state.operation, std::memory_order_release);
}

void NodeExchange::dispatch_send(int batch) {
  control().enter("dispatch_send");
  Batch& state = at(batch);
  ++state.operation;
  state.relay.begin(state.operation);
  state.sender.begin(input(batch));
  state.order = order_selections(input(batch).topk_idx, groups_);
  const std::vector<std::int32_t> counts = count_tokens(batch);
  publish_counts(batch, counts);
  send_to_nodes(batch, counts);
  await_counts(batch);
  write_to_neighbours(batch);
}

/// Counts to all nodes first: they are short, and every node waits for all of them.
void NodeExchange::send_to_nodes(int batch, const std::vector<std::int32_t>& counts) {
  Batch& state = at(batch);
  const NodeTags tags(batch);
  const int experts = shape().experts_per_rank();
  const int nodes = topology().num_nodes();
  for (int turn = 1; turn < nodes; ++turn) {
    const int node = (my_node() + turn) % nodes;
    Remote& remote = state.remotes[static_cast<std::size_t>(node)];
    remote.counts.assign(1, state.sender.num_messages(node));
    for (const int owner : topology().ranks_of_node[static_cast<std::size_t>(node)]) {
      const auto first = counts.begin() + static_cast<std::ptrdiff_t>(owner) * experts;
      remote.counts.insert(remote.counts.end(), first, first + experts);
    }
    remote.sends.assign(1, MPI_REQUEST_NULL);
    check(MPI_Isend(remote.counts.data(), static_cast<int>(remote.counts.size()), MPI_INT32_T,
                    topology().proxy(rank(), node), tags.counts, comm(), &remote.sends[0]),
          "MPI_Isend");
  }
  for (int turn = 1; turn < nodes; ++turn) {
    send_block(batch, (my_node() + turn) % nodes);
  }
}

/// Every message leaves as soon as its bytes are packed, while the next are being cast.
void NodeExchange::send_block(int batch, int node) {
  Batch& state = at(batch);
  std::vector<MPI_Request>& sends = state.remotes[static_cast<std::size_t>(node)].sends;
  const std::size_t all = state.sender.block_bytes(node);
  std::size_t sent = 0;
  state.sender.pack(node, [&](std::span<const std::byte> packed) {
    while (sent < all && packed.size() >= std::min(sent + message_bytes, all)) {
      const std::size_t bytes = std::min(message_bytes, all - sent);
      check(MPI_Isend(packed.data() + sent, static_cast<int>(bytes / line_bytes), line_type_,
                      topology().proxy(rank(), node), NodeTags(batch).block, comm(),
                      &sends.emplace_back(MPI_REQUEST_NULL)),
            "MPI_Isend");
      sent += bytes;
    }
  });
}

void NodeExchange::await_counts(int batch) {
  Batch& state = at(batch);
  int source = 0;
  bool passed = false;
  control().wait([&] {
    passed = passed || state.relay.pass_counts();
    while (source < num_ranks() &&
           board_.counted(batch, source).load(std::memory_order_acquire) >= state.operation) {
      ++source;
    }
    return passed && source == num_ranks();
  });
  state.rows.begin();
  for (int from = 0; from < num_ranks(); ++from) state.rows.add_source(from, board_.counts(batch, from));
  state.rows.finish();
  state.arena.reserve(state.rows.most_rows());
}

void NodeExchange::write_to_neighbours(int batch) {
  Batch& state = at(batch);
  const auto topk_idx = input(batch).topk_idx;
  const auto topk = static_cast<std::size_t>(shape().topk);
  state.row_of.assign(topk_idx.size(), -1);
  for (std::size_t i = 0; i < topk_idx.size(); ++i) {
    const int expert = topk_idx[i] < 0 ? -1 : state.rows.node_expert(topk_idx[i]);
    if (expert < 0) continue;
    const auto index = static_cast<std::int32_t>(i / topk);
    const std::int32_t row = state.rows.next_row(expert, rank());
    state.arena.store(state.rows.member_of(expert), row, state.sender.encoded(index), index);
    state.row_of[i] = row;
  }
  NodeArena::publish();
  for (int member = 0; member < num_members(); ++member) {
    board_.arrived(batch, member, rank()).store(state.operation, std::memory_order_release);
  }
}

void NodeExchange::dispatch_recv(int batch) {
  control().enter("dispatch_recv");
  Batch& state = at(batch);
  int source = 0;
  bool passed = false;
  control().wait([&] {
    passed = passed || state.relay.pass_blocks();
    while (source < num_ranks() &&
           board_.arrived(batch, my_member(), source).load(std::memory_order_acquire) >= state.operation) {
      ++source;
    }
    return passed && source == num_ranks();
  });
}

bool NodeExchange::all_ready(int batch) const {
  const std::uint64_t operation = batches_[static_cast<std::size_t>(batch)]->operation;
  for (int member = 0; member < num_members(); ++member) {
    if (board_.ready(batch, member).load(std::memory_order_acquire) < operation) return false;
  }
  return true;
}

/// Coded once here, whoever reads them.
void NodeExchange::offer_results(int batch) {
  Batch& state = at(batch);
  if (result_row().is_coded()) {
    for (std::int32_t row = 0; row < state.rows.expert_begin().back(); ++row) {
      result_row().encode(state.arena.result(my_member(), row), state.arena.travelling(my_member(), row));
    }
  }
  board_.ready(batch, my_member()).store(state.operation, std::memory_order_release);
}

void NodeExchange::combine_send(int batch) {
  control().enter("combine_send");
  Batch& state = at(batch);
  offer_results(batch);
  expect_results(batch);
  if (!state.relay.has_sources()) return;
  control().wait([&] { return all_ready(batch); });
  state.relay.return_results();
}

void NodeExchange::expect_results(int batch) {
  Batch& state = at(batch);
  for (int node = 0; node < topology().num_nodes(); ++node) {
    if (node == my_node()) continue;
    Remote& remote = state.remotes[static_cast<std::size_t>(node)];
    const auto count = static_cast<std::size_t>(state.order.count(node));
    grow(remote.results, count * result_row().capacity);
    remote.parts = result_row().parts(count);
    remote.receives.clear();
    remote.rows.clear();
    remote.num_arrived = 0;
    for (const ResultRow::Part& part : remote.parts) {
      const std::size_t most_lines = part.count * result_row().capacity / line_bytes;
      check(MPI_Irecv(remote.results.data() + part.first * result_row().capacity,
                      static_cast<int>(most_lines), line_type_, topology().proxy(rank(), node),
                      NodeTags(batch).results, comm(), &remote.receives.emplace_back(MPI_REQUEST_NULL)),
            "MPI_Irecv");
    }
  }
}

void NodeExchange::accept_results(Remote& remote) {
  while (remote.num_arrived < remote.parts.size()) {
    int done = 0;
    check(MPI_Test(&remote.receives[remote.num_arrived], &done, MPI_STATUS_IGNORE), "MPI_Test");
    if (done == 0) return;
    const auto [first, count] = remote.parts[remote.num_arrived++];
    result_row().locate(remote.results.data() + first * result_row().capacity, count, remote.rows);
  }
}

bool NodeExchange::all_sent(Batch& state) {
  bool all = state.relay.done();
  for (Remote& remote : state.remotes) {
    int sent = 0;
    check(MPI_Testall(static_cast<int>(remote.sends.size()), remote.sends.data(), &sent, MPI_STATUSES_IGNORE),
          "MPI_Testall");
    all = all && sent != 0;
  }
  return all;
}

/// Results come back in the order of the tokens, so the first are summed while others are on their way.
void NodeExchange::combine_recv(int batch) {
  control().enter("combine_recv");
  Batch& state = at(batch);
  control().wait([&] { return all_ready(batch); });
  std::vector<const std::byte*> row_of(static_cast<std::size_t>(shape().topk));
  const auto tokens = static_cast<std::size_t>(num_tokens(batch));
  state.combined.resize(tokens * static_cast<std::size_t>(shape().hidden));
  for (std::size_t token = 0; token < tokens; ++token) {
    control().wait([&] {
      all_sent(state);  // what this rank still sends goes on
      return find_rows(batch, token, row_of);
    });
    reduce_token(batch, token, row_of, state.combined);
  }
  control().wait([&] { return all_sent(state); });
}

/// Where the results of a token's selections lie: neighbours' in their memory, those of other nodes as they
/// came; null for a masked entry. False while one of them is on its way.
bool NodeExchange::find_rows(int batch, std::size_t token, std::span<const std::byte*> row_of) {
  Batch& state = at(batch);
  const auto topk = row_of.size();
  for (std::size_t k = 0; k < topk; ++k) {
    const std::size_t selection = token * topk + k;
    const std::int32_t expert = input(batch).topk_idx[selection];
    row_of[k] = nullptr;
    if (expert < 0) continue;
    const auto owner = static_cast<std::size_t>(rank_of(expert));
    if (state.row_of[selection] >= 0) {
      row_of[k] = state.arena.travelling(topology().member_of_rank[owner], state.row_of[selection]);
      continue;
    }
    const auto node = static_cast<std::size_t>(topology().node_of_rank[owner]);
    Remote& remote = state.remotes[node];
    const auto place = static_cast<std::size_t>(state.order.position[selection] - state.order.begin[node]);
    if (place >= remote.rows.size()) accept_results(remote);
    if (place >= remote.rows.size()) return false;
    row_of[k] = remote.rows[place];
  }
  return true;
}

DispatchOutput NodeExchange::dispatch_output(int /*local*/, int batch) {
  const Batch& state = at(batch);
  const auto rows = static_cast<std::size_t>(state.rows.expert_begin().back());
  const auto scales = rows * static_cast<std::size_t>(shape().num_scales());
  DispatchOutput output;
  output.format = options().dispatch;
  output.expert_begin = state.rows.expert_begin();
  output.source_range = state.rows.source_range();
  output.rows = {state.arena.row(my_member(), 0), rows * wire().row_size};
  output.source_token = {state.arena.source_token(my_member()), rows};
  const std::byte* first_scale = state.arena.scales(my_member(), 0);
  if (scale_size(output.format) == sizeof(float))
    output.scales = {reinterpret_cast<const float*>(first_scale), scales};
  if (scale_size(output.format) == 1) {
    output.scale_bytes = {reinterpret_cast<const std::uint8_t*>(first_scale), scales};
  }
  return output;
}

std::span<BFloat16> NodeExchange::expert_output(int /*local*/, int batch) {
  const Batch& state = at(batch);
  const auto rows = static_cast<std::size_t>(state.rows.expert_begin().back());
  return {state.arena.result(my_member(), 0), rows * static_cast<std::size_t>(shape().hidden)};
}

std::span<const BFloat16> NodeExchange::combine_output(int /*local*/, int batch) {
  return at(batch).combined;
}

MemoryUse NodeExchange::memory(int /*local*/) const {
  MemoryUse use;
  for (const auto& state : batches_) {
    std::size_t results = state->combined.size() * sizeof(BFloat16);
    for (const Remote& remote : state->remotes) results += remote.results.size();
    use.touched += state->arena.bytes() + state->sender.bytes() + state->relay.bytes() +
                   static_cast<std::int64_t>(results);
  }
  use.reserved = use.touched;  // grown on demand
  return use;
}

WireCopies NodeExchange::copies() {
  if (topology().num_nodes() == 1) return {};
  if (topology().num_nodes() == num_ranks()) return {Copies::messages, Copies::selections};
  // A token travels once to a node and a rank there passes it on, so neither half follows a matrix of ranks.
  return {Copies::uncounted, Copies::uncounted};
}

}  // namespace epskew::mpi
