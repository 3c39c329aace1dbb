#pragma once

/// Whether a launcher of parallel jobs (mpirun, mpiexec, srun) started this process as one of several.

#include <optional>
#include <string>

namespace epskew {

struct LaunchedProcess {
  int rank = 0;
  int size = 1;
  std::string launcher;               ///< "Open MPI", "PMI" or "Slurm"
  std::optional<int> ranks_per_node;  ///< how many processes it started on this node, where it says so
};

/// From the variables that the launchers set; nullopt outside of one. A Slurm batch script or allocation
/// alone is not one.
std::optional<LaunchedProcess> launched_process();

}  // namespace epskew
