#include "backends/mpi/survey.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "backends/mpi/host.hpp"
#include "backends/mpi/library.hpp"
#include "backends/mpi/link_probe.hpp"
#include "backends/mpi/topology.hpp"

namespace epskew::mpi {
namespace {

/// What a rank says about itself.
struct Place {
  std::array<char, 120> cores{};
  std::int32_t socket = -1;
};

std::vector<Place> gather_places(Control& control, MPI_Comm comm) {
  Place mine;
  const std::string cores = usable_cores();
  std::memcpy(mine.cores.data(), cores.data(), std::min(cores.size(), mine.cores.size() - 1));
  mine.socket = socket_of_first_core();
  std::vector<Place> all(static_cast<std::size_t>(control.size()));
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Iallgather(&mine, sizeof(Place), MPI_BYTE, all.data(), sizeof(Place), MPI_BYTE, comm, &request),
        "MPI_Iallgather");
  control.wait(request);
  return all;
}

}  // namespace

WorldFacts survey(Control& control, MPI_Comm comm, std::optional<int> ranks_per_node) {
  control.enter("surveying hosts");
  const NodeComm node(comm, ranks_per_node, control);
  const Topology& topology = node.topology();
  WorldFacts facts;
  facts.node_of_rank = topology.node_of_rank;
  for (const auto& ranks : topology.ranks_of_node) {
    facts.hosts.push_back(control.hosts()[static_cast<std::size_t>(ranks.front())]);
  }
  for (const Place& place : gather_places(control, comm)) {
    facts.cores.emplace_back(place.cores.data());
    facts.sockets.push_back(place.socket);
  }
  facts.links = probe_links(control, comm, topology);
  return facts;
}

}  // namespace epskew::mpi
