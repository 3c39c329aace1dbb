#include "backends/mpi/node_relay.hpp"

#include <algorithm>
#include <cstring>

#include "backends/mpi/datatype.hpp"
#include "backends/mpi/library.hpp"
#include "backends/mpi/lines.hpp"
#include "backends/mpi/received.hpp"

namespace epskew::mpi {
namespace {

/// Enough that a link has work while its process waits for a core: 1.5 MB, 12 ms of 1 Gbit/s.
constexpr std::size_t parts_under_way = 24;

}  // namespace

NodeRelay::NodeRelay(const ExchangeShape& shape, const WireRow& wire, const NodeBatch& batch, int rank)
    : layout_(shape, wire.stride), batch_(batch), tags_(batch.index), line_type_(bytes_type(line_bytes)) {
  const Topology& topology = *batch.topology;
  const int node = topology.node_of_rank[static_cast<std::size_t>(rank)];
  for (int source = 0; source < shape.num_ranks; ++source) {
    if (topology.node_of_rank[static_cast<std::size_t>(source)] == node) continue;
    if (topology.proxy(source, node) != rank) continue;
    sources_.emplace_back().rank = source;
  }
}

NodeRelay::~NodeRelay() {
  MPI_Type_free(&line_type_);
}

void NodeRelay::begin(std::uint64_t operation) {
  operation_ = operation;
  const std::size_t size = counts_size(batch_.rows->num_experts());
  for (Source& source : sources_) {
    source.stage = Stage::counts;
    source.counts.resize(size);
    check(MPI_Irecv(source.counts.data(), static_cast<int>(size), MPI_INT32_T, source.rank, tags_.counts,
                    batch_.comm, &source.request),
          "MPI_Irecv");
  }
}

bool NodeRelay::arrived(MPI_Request& request) {
  int done = 0;
  check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
  return done != 0;
}

bool NodeRelay::pass_counts() {
  bool all = true;
  for (Source& source : sources_) {
    if (source.stage != Stage::counts) continue;
    if (!arrived(source.request)) {
      all = false;
      continue;
    }
    const auto counts = batch_.board->counts(batch_.index, source.rank);
    std::copy(source.counts.begin() + 1, source.counts.end(), counts.begin());
    batch_.board->counted(batch_.index, source.rank).store(operation_, std::memory_order_release);
    expect_block(source);
  }
  return all;
}

void NodeRelay::expect_block(Source& source) {
  source.stage = Stage::block;
  const std::size_t bytes = layout_.block_bytes(source.counts[0]);
  grow(source.block, bytes);
  source.arriving.clear();
  source.num_arrived = 0;
  source.num_stored = 0;
  source.places.clear();
  for (std::size_t first = 0; first < bytes; first += message_bytes) {
    const auto lines = static_cast<int>(std::min(message_bytes, bytes - first) / line_bytes);
    check(MPI_Irecv(source.block.data() + first, lines, line_type_, source.rank, tags_.block, batch_.comm,
                    &source.arriving.emplace_back(MPI_REQUEST_NULL)),
          "MPI_Irecv");
  }
}

bool NodeRelay::pass_blocks() {
  bool all = true;
  for (Source& source : sources_) {
    if (source.stage != Stage::block) continue;
    all = store(source) && all;
  }
  return all;
}

bool NodeRelay::store(Source& source) {
  while (source.num_arrived < source.arriving.size() && arrived(source.arriving[source.num_arrived])) {
    ++source.num_arrived;
    const std::size_t complete = source.num_arrived * message_bytes;  // or less, if this is the last one
    const bool all = source.num_arrived == source.arriving.size();
    const int num_messages = source.counts[0];
    while (source.num_stored < num_messages &&
           (all || layout_.payload_begin(num_messages, source.num_stored + 1) <= complete)) {
      store_token(source, source.num_stored++);
    }
  }
  if (source.num_arrived < source.arriving.size()) return false;
  source.stage = Stage::stored;
  batch_.arena->publish();
  for (int member = 0; member < batch_.rows->num_members(); ++member) {
    batch_.board->arrived(batch_.index, member, source.rank).store(operation_, std::memory_order_release);
  }
  return true;
}

void NodeRelay::store_token(Source& source, int message) {
  BlockEntry& entry = layout_.entry(source.block.data(), message);
  const std::byte* payload = layout_.payload(source.block.data(), source.counts[0], message);
  const BlockSelection* selections = layout_.selections(entry);
  for (int i = 0; i < entry.num_selections; ++i) {
    const int expert = batch_.rows->node_expert(selections[i].expert);
    const int member = batch_.rows->member_of(expert);
    const std::int32_t row = batch_.rows->next_row(expert, source.rank);
    batch_.arena->store(member, row, payload, entry.token);
    source.places.push_back({member, row});
  }
}

void NodeRelay::return_results() {
  for (Source& source : sources_) {
    grow(source.results, source.places.size() * batch_.result_row->capacity);
    source.parts = batch_.result_row->parts(source.places.size());
    source.returning.clear();
    source.num_left = 0;
  }
  done();
}

void NodeRelay::return_next_part(Source& source) {
  const ResultRow& format = *batch_.result_row;
  const auto [first, count] = source.parts[source.returning.size()];
  std::byte* const begin = source.results.data() + first * format.capacity;
  std::byte* out = begin;
  for (std::size_t i = first; i < first + count; ++i) {
    const std::byte* row = batch_.arena->travelling(source.places[i].member, source.places[i].row);
    const std::size_t bytes = format.bytes(row);
    std::memcpy(out, row, bytes);
    out += bytes;
  }
  const auto lines = static_cast<std::size_t>(out - begin) / line_bytes;
  check(MPI_Isend(begin, static_cast<int>(lines), line_type_, source.rank, tags_.results, batch_.comm,
                  &source.returning.emplace_back(MPI_REQUEST_NULL)),
        "MPI_Isend");
}

/// All parts at once would share the link, and the first would arrive with the last.
bool NodeRelay::keep_returning(Source& source) {
  while (source.num_left < source.returning.size()) {
    int sent = 0;
    check(MPI_Test(&source.returning[source.num_left], &sent, MPI_STATUS_IGNORE), "MPI_Test");
    if (sent == 0) break;
    ++source.num_left;
  }
  while (source.returning.size() < std::min(source.parts.size(), source.num_left + parts_under_way)) {
    return_next_part(source);
  }
  return source.num_left == source.parts.size();
}

bool NodeRelay::done() {
  bool all = true;
  for (Source& source : sources_) all = keep_returning(source) && all;
  return all;
}

std::int64_t NodeRelay::bytes() const {
  std::size_t sum = 0;
  for (const Source& source : sources_) sum += source.block.size() + source.results.size();
  return static_cast<std::int64_t>(sum);
}

}  // namespace epskew::mpi
