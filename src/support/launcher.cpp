#include "epskew/support/launcher.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <string_view>

namespace epskew {
namespace {

/// The variables of one launcher. Those of `job` that are set tell its jobs apart.
struct Variables {
  const char* launcher;
  const char* rank;
  const char* size;
  const char* local_rank;
  const char* on_this_node;
  std::initializer_list<const char*> job;
};
constexpr char torchrun[] = "torchrun";
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
    {torchrun,
     "RANK",
     "WORLD_SIZE",
     "LOCAL_RANK",
     "LOCAL_WORLD_SIZE",
     {"MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT"}}};

/// `text` as a whole is a number and, where `repeated` is given, "(xN)" may follow it.
std::optional<int> number(const char* text, bool repeated = false) {
  if (text == nullptr) return std::nullopt;
  int value = 0;
  const char* const end = text + std::strlen(text);
  const auto parsed = std::from_chars(text, end, value);
  if (parsed.ec != std::errc{} || value < 0) return std::nullopt;
  const std::string_view rest(parsed.ptr, static_cast<std::size_t>(end - parsed.ptr));
  const bool is_repeated = repeated && rest.size() > 3 && rest.starts_with("(x") && rest.ends_with(')') &&
                           rest.find_first_not_of("0123456789", 2) == rest.size() - 1;
  if (!rest.empty() && !is_repeated) return std::nullopt;
  return value;
}

/// Slurm writes "4(x2)" for four tasks on each of two machines; nodes of different sizes ("4,2") have no one
/// number.
std::optional<int> tasks_per_node(const char* text) {
  return number(text, true);
}

std::string job_of(const Variables& variables, const Environment& environment) {
  std::string job;
  for (const char* variable : variables.job) {
    if (const char* value = environment(variable)) job += fmt::format("-{}", value);
  }
  return job;
}

}  // namespace

std::vector<LaunchedProcess> launched_processes(const Environment& environment) {
  std::vector<LaunchedProcess> found;
  for (const Variables& variables : known) {
    const auto rank = number(environment(variables.rank));
    const auto size = number(environment(variables.size));
    if (!rank || !size || *rank >= *size) continue;
    found.push_back({*rank, *size, variables.launcher, tasks_per_node(environment(variables.on_this_node)),
                     number(environment(variables.local_rank)), job_of(variables, environment)});
  }
  return found;
}

std::optional<LaunchedProcess> launched_process() {
  for (const LaunchedProcess& process :
       launched_processes([](const char* name) -> const char* { return std::getenv(name); })) {
    if (process.launcher != torchrun) return process;
  }
  return std::nullopt;
}

}  // namespace epskew
