#pragma once

/// Whether a launcher of parallel jobs (mpirun, mpiexec, srun, torchrun) started this process as one of
/// several.

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace epskew {

struct LaunchedProcess {
  int rank = 0;
  int size = 1;
  std::string launcher;               ///< "Open MPI", "PMI", "Slurm" or "torchrun"
  std::optional<int> ranks_per_node;  ///< how many processes it started on this node, where it says so
  std::optional<int> local_rank;      ///< among them, where it says so
  std::string job;  ///< what tells its jobs apart, the same in all processes; empty where it says nothing
};

/// Value of an environment variable, or null.
using Environment = std::function<const char*(const char*)>;

/// What the variables of every known launcher say, torchrun's last; empty outside of one. Several where one
/// launcher started another. A Slurm batch script or allocation alone is no launcher.
std::vector<LaunchedProcess> launched_processes(const Environment& environment);

/// The launcher of MPI jobs that started this process; nullopt outside of one.
std::optional<LaunchedProcess> launched_process();

}  // namespace epskew
