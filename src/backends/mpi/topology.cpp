#include "backends/mpi/topology.hpp"

#include <map>

#include "backends/mpi/guard.hpp"
#include "backends/mpi/library.hpp"

namespace epskew::mpi {
namespace {

MPI_Comm split(MPI_Comm comm, std::optional<int> ranks_per_node) {
  int rank = 0;
  check(MPI_Comm_rank(comm, &rank), "MPI_Comm_rank");
  MPI_Comm machine = MPI_COMM_NULL;
  check(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &machine),
        "MPI_Comm_split_type");
  if (!ranks_per_node) return machine;
  int place = 0;
  check(MPI_Comm_rank(machine, &place), "MPI_Comm_rank");
  MPI_Comm part = MPI_COMM_NULL;
  check(MPI_Comm_split(machine, place / *ranks_per_node, place, &part), "MPI_Comm_split");
  check(MPI_Comm_free(&machine), "MPI_Comm_free");
  return part;
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

NodeComm::NodeComm(MPI_Comm comm, std::optional<int> ranks_per_node, Control& control) : control_(&control) {
  const Watched watched("finding out who shares memory (MPI_Comm_split_type)", control.timeout());
  node_ = split(comm, ranks_per_node);
  check(MPI_Comm_set_errhandler(node_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  int lowest = control.rank();
  check(MPI_Bcast(&lowest, 1, MPI_INT, 0, node_), "MPI_Bcast");
  std::vector<int> all(static_cast<std::size_t>(control.size()));
  check(MPI_Allgather(&lowest, 1, MPI_INT, all.data(), 1, MPI_INT, comm), "MPI_Allgather");
  topology_ = make_topology(all);
}

NodeComm::~NodeComm() {
  if (Library::instance().broken()) return;
  const Watched watched("leaving the node (MPI_Comm_free)", control_->timeout());
  MPI_Comm_free(&node_);
}

}  // namespace epskew::mpi
