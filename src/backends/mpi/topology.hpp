#pragma once

/// Which ranks share a machine's memory.

#include <mpi.h>

#include <optional>
#include <vector>

#include "backends/mpi/control.hpp"

namespace epskew::mpi {

struct Topology {
  std::vector<int> node_of_rank;                ///< [R]; nodes are numbered by their lowest rank
  std::vector<int> member_of_rank;              ///< [R] place of a rank among the ranks of its node
  std::vector<std::vector<int>> ranks_of_node;  ///< [nodes], ascending

  int num_nodes() const { return static_cast<int>(ranks_of_node.size()); }
  int node_size(int node) const {
    return static_cast<int>(ranks_of_node[static_cast<std::size_t>(node)].size());
  }
  /// The rank on `node` that receives for it from `source`, and returns to it: spread over the node's ranks.
  int proxy(int source, int node) const {
    const auto member = member_of_rank[static_cast<std::size_t>(source)] % node_size(node);
    return ranks_of_node[static_cast<std::size_t>(node)][static_cast<std::size_t>(member)];
  }
};

/// Numbers the nodes from what every rank knows of its own: the lowest rank that it shares memory with, [R].
Topology make_topology(const std::vector<int>& lowest_rank_of_node);

/// The ranks that share this one's memory as a communicator.
class NodeComm {
 public:
  /// Collective. `ranks_per_node` divides machines into nodes of at most so many ranks.
  NodeComm(MPI_Comm comm, std::optional<int> ranks_per_node, Control& control);
  ~NodeComm();
  NodeComm(const NodeComm&) = delete;
  NodeComm& operator=(const NodeComm&) = delete;

  MPI_Comm get() const { return node_; }
  const Topology& topology() const { return topology_; }

 private:
  Control* control_;
  bool is_part_;  ///< the communicator is this object's own, not that of the whole machine
  MPI_Comm node_ = MPI_COMM_NULL;
  Topology topology_;
};

}  // namespace epskew::mpi
