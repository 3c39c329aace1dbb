#include "backends/mpi/topology.hpp"

#include <map>

#include "backends/mpi/guard.hpp"
#include "backends/mpi/library.hpp"

namespace epskew::mpi {
namespace {

/// Part of a machine, of at most so many ranks; the caller frees it.
MPI_Comm part_of(MPI_Comm machine, int ranks) {
  if (ranks == 1) return duplicate(MPI_COMM_SELF);
  int place = 0;
  check(MPI_Comm_rank(machine, &place), "MPI_Comm_rank");
  MPI_Comm part = MPI_COMM_NULL;
  check(MPI_Comm_split(machine, place / ranks, place, &part), "MPI_Comm_split");
  check(MPI_Comm_set_errhandler(part, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  return part;
}

/// [R] of all ranks of `comm`: the lowest of those in the same `node`.
std::vector<int> lowest_of_nodes(MPI_Comm comm, MPI_Comm node, const Control& control) {
  int lowest = control.rank();
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Ibcast(&lowest, 1, MPI_INT, 0, node, &request), "MPI_Ibcast");
  wait_politely(request);
  std::vector<int> all(static_cast<std::size_t>(control.size()));
  check(MPI_Iallgather(&lowest, 1, MPI_INT, all.data(), 1, MPI_INT, comm, &request), "MPI_Iallgather");
  wait_politely(request);
  return all;
}

}  // namespace

Topology make_topology(const std::vector<int>& lowest_rank_of_node) {
  Topology topology;
  std::map<int, int> node_of_lowest;  // ascending by lowest rank
  for (const int lowest : lowest_rank_of_node) node_of_lowest.emplace(lowest, 0);
  int node = 0;
  for (auto& entry : node_of_lowest) entry.second = node++;
  topology.ranks_of_node.resize(node_of_lowest.size());
  for (std::size_t rank = 0; rank < lowest_rank_of_node.size(); ++rank) {
    const int mine = node_of_lowest[lowest_rank_of_node[rank]];
    auto& ranks = topology.ranks_of_node[static_cast<std::size_t>(mine)];
    topology.node_of_rank.push_back(mine);
    topology.member_of_rank.push_back(static_cast<int>(ranks.size()));
    ranks.push_back(static_cast<int>(rank));
  }
  return topology;
}

NodeComm::NodeComm(MPI_Comm comm, std::optional<int> ranks_per_node, Control& control)
    : control_(&control), is_part_(ranks_per_node.has_value()) {
  const Watched watched("finding out who shares memory (MPI_Comm_split_type)", control.timeout());
  node_ = Library::instance().machine();
  if (is_part_) node_ = part_of(node_, *ranks_per_node);
  topology_ = make_topology(lowest_of_nodes(comm, node_, control));
}

NodeComm::~NodeComm() {
  if (!is_part_ || Library::instance().broken()) return;
  const Watched watched("leaving the node (MPI_Comm_free)", control_->timeout());
  MPI_Comm_free(&node_);
}

}  // namespace epskew::mpi
