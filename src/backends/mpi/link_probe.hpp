#pragma once

#include <mpi.h>

#include <vector>

#include "backends/mpi/control.hpp"
#include "backends/mpi/topology.hpp"
#include "epskew/exchange/world.hpp"

namespace epskew::mpi {

/// Collective: measures the way between every two nodes, one pair after the other so that they do not disturb
/// each other; complete at rank 0. Nothing for a single node.
std::vector<LinkSpeed> probe_links(Control& control, MPI_Comm comm, const Topology& topology);

}  // namespace epskew::mpi
