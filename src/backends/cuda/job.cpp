#include "backends/cuda/job.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

namespace epskew::cuda {

std::optional<Job> find_job(const Environment& environment) {
  for (const LaunchedProcess& process : launched_processes(environment)) {
    if (process.size < 2) continue;
    Job job;
    job.rank = process.rank;
    job.size = process.size;
    job.local_rank = process.local_rank.value_or(process.rank);
    job.local_size = process.ranks_per_node.value_or(process.size);
    job.launcher = process.launcher;
    // Where the launcher says nothing: the process that started all of them, mpirun or its daemon.
    job.name = process.job.empty() ? fmt::format("-{}", getppid()) : process.job;
    return job;
  }
  return std::nullopt;
}

std::optional<Job> find_job() {
  return find_job([](const char* name) -> const char* { return std::getenv(name); });
}

}  // namespace epskew::cuda
