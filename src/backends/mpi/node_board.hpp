#pragma once

/// The words through which the ranks of a node talk, in shared memory. They carry the number of the
/// operation, so they only grow and are never cleared.

#include <atomic>
#include <cstdint>
#include <span>

#include "backends/mpi/shared_window.hpp"
#include "backends/mpi/topology.hpp"
#include "epskew/exchange/shape.hpp"

namespace epskew::mpi {

class NodeBoard {
 public:
  /// Collective over the node. `node_experts`: experts on this node.
  NodeBoard(const NodeComm& node, const ExchangeShape& shape, int micro_batches, int node_experts,
            Control& control);

  using Word = std::atomic_ref<std::uint64_t>;
  /// Set by the source, or by the rank that receives for the node, once counts() holds its numbers.
  Word counted(int batch, int source) const { return word(0, line(batch, source)); }
  /// [node_experts] tokens of `source` for every expert of the node.
  std::span<std::int32_t> counts(int batch, int source) const;
  /// Set when all rows of `source` are in `member`'s memory.
  Word arrived(int batch, int member, int source) const {
    return word(member, batches_ * ranks_ + line(batch, source));
  }
  /// Set by `member` when its experts' results may be read.
  Word ready(int batch, int member) const {
    return word(member, 2 * batches_ * ranks_ + static_cast<std::size_t>(batch));
  }

 private:
  std::size_t line(int batch, int source) const {
    return static_cast<std::size_t>(batch) * ranks_ + static_cast<std::size_t>(source);
  }
  Word word(int member, std::size_t line) const;
  std::size_t words_bytes() const;

  std::size_t ranks_;
  std::size_t batches_;
  std::size_t node_experts_;
  SharedWindow window_;
};

}  // namespace epskew::mpi
