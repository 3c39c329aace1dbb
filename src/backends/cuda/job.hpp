#pragma once

/// Whether this process is one of a job that mpirun, srun or torchrun started with a rank each.

#include <optional>
#include <string>

#include "epskew/support/launcher.hpp"

namespace epskew::cuda {

struct Job {
  int rank = 0;
  int size = 1;
  int local_rank = 0;  ///< among the processes of this machine
  int local_size = 1;
  std::string launcher;  ///< "Open MPI", "PMI", "Slurm" or "torchrun"
  std::string name;  ///< the same in all processes of the job on this machine, and in those of no other job
};

/// From the variables that the launchers set; nullopt outside of a job and for a job of one process.
std::optional<Job> find_job(const Environment& environment);
/// Of this process.
std::optional<Job> find_job();

}  // namespace epskew::cuda
