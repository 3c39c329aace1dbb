#include "backends/mpi/node_board.hpp"

#include <cstring>

#include "backends/mpi/library.hpp"

namespace epskew::mpi {
namespace {

constexpr std::size_t cache_line = 64;

}  // namespace

NodeBoard::NodeBoard(const NodeComm& node, const ExchangeShape& shape, int micro_batches, int node_experts,
                     Control& control)
    : ranks_(static_cast<std::size_t>(shape.num_ranks)),
      batches_(static_cast<std::size_t>(micro_batches)),
      node_experts_(static_cast<std::size_t>(node_experts)),
      // The counts lie with the first member; that the others reserve as much costs address space only.
      window_(node.get(), words_bytes() + batches_ * ranks_ * node_experts_ * sizeof(std::int32_t), control) {
  const int me = node.topology().member_of_rank[static_cast<std::size_t>(control.rank())];
  std::memset(window_.of(me), 0, words_bytes());
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Ibarrier(node.get(), &request), "MPI_Ibarrier");
  control.wait(request);
}

std::size_t NodeBoard::words_bytes() const {
  return (2 * batches_ * ranks_ + batches_) * cache_line;
}

NodeBoard::Word NodeBoard::word(int member, std::size_t line) const {
  return Word(*reinterpret_cast<std::uint64_t*>(window_.of(member) + line * cache_line));
}

std::span<std::int32_t> NodeBoard::counts(int batch, int source) const {
  auto* first = reinterpret_cast<std::int32_t*>(window_.of(0) + words_bytes());
  return {first + line(batch, source) * node_experts_, node_experts_};
}

}  // namespace epskew::mpi
