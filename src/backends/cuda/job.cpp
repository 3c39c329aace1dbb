#include "backends/cuda/job.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace epskew::cuda {
namespace {

/// The variables of one launcher. Those of `name` that are set tell its jobs apart.
struct Variables {
  const char* launcher;
  const char* rank;
  const char* size;
  const char* local_rank;
  const char* local_size;
  std::initializer_list<const char*> name;
};
const Variables known[] = {
    {"Open MPI",
     "OMPI_COMM_WORLD_RANK",
     "OMPI_COMM_WORLD_SIZE",
     "OMPI_COMM_WORLD_LOCAL_RANK",
     "OMPI_COMM_WORLD_LOCAL_SIZE",
     {"PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid"}},
    {"PMI", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS", {"PMI_PORT"}},
    {"Slurm",
     "SLURM_PROCID",
     "SLURM_STEP_NUM_TASKS",
     "SLURM_LOCALID",
     "SLURM_STEP_TASKS_PER_NODE",
     {"SLURM_JOB_ID", "SLURM_STEP_ID"}},
    {"torchrun",
     "RANK",
     "WORLD_SIZE",
     "LOCAL_RANK",
     "LOCAL_WORLD_SIZE",
     {"MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT"}}};

/// The number at the beginning of `text`: Slurm writes "4(x2)" for four tasks on each of two machines.
std::optional<int> number(const char* text) {
  if (text == nullptr) return std::nullopt;
  int value = 0;
  const auto parsed = std::from_chars(text, text + std::strlen(text), value);
  if (parsed.ec != std::errc{} || value < 0) return std::nullopt;
  return value;
}

/// What the launcher says of the job; where it says nothing, the process that started all of them: mpirun or
/// its daemon.
std::string name_of(const Variables& variables, const Environment& environment) {
  std::string name;
  for (const char* variable : variables.name) {
    if (const char* value = environment(variable)) name += fmt::format("-{}", value);
  }
  return name.empty() ? fmt::format("-{}", getppid()) : name;
}

}  // namespace

std::optional<Job> find_job(const Environment& environment) {
  for (const Variables& variables : known) {
    const auto rank = number(environment(variables.rank));
    const auto size = number(environment(variables.size));
    if (!rank || !size || *rank >= *size || *size < 2) continue;
    Job job;
    job.rank = *rank;
    job.size = *size;
    job.local_rank = number(environment(variables.local_rank)).value_or(*rank);
    job.local_size = number(environment(variables.local_size)).value_or(*size);
    job.launcher = variables.launcher;
    job.name = name_of(variables, environment);
    return job;
  }
  return std::nullopt;
}

std::optional<Job> find_job() {
  return find_job([](const char* name) -> const char* { return std::getenv(name); });
}

}  // namespace epskew::cuda
