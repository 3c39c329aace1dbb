#pragma once

/// Where the ranks of a job run and how fast the ways between their hosts are.

#include <mpi.h>

#include <optional>

#include "backends/mpi/control.hpp"
#include "epskew/exchange/world.hpp"

namespace epskew::mpi {

/// Collective. Every pair of hosts is measured by a ping-pong between their lowest ranks, some milliseconds
/// each. `ranks_per_node`: takes parts of a machine as nodes.
WorldFacts survey(Control& control, MPI_Comm comm, std::optional<int> ranks_per_node);

}  // namespace epskew::mpi
