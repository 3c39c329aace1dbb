#include "epskew/support/launcher.hpp"

#include <charconv>
#include <cstdlib>
#include <cstring>

namespace epskew {
namespace {

struct Variables {
  const char* rank;
  const char* size;
  const char* launcher;
  const char* on_this_node;
};
constexpr Variables known[] = {
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "Open MPI", "OMPI_COMM_WORLD_LOCAL_SIZE"},
    {"PMI_RANK", "PMI_SIZE", "PMI", "MPI_LOCALNRANKS"},
    {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "Slurm", "SLURM_NTASKS_PER_NODE"}};

std::optional<int> number(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return std::nullopt;
  int value = 0;
  const char* end = text + std::strlen(text);
  const auto parsed = std::from_chars(text, end, value);
  if (parsed.ec != std::errc{} || parsed.ptr != end) return std::nullopt;
  return value;
}

}  // namespace

std::optional<LaunchedProcess> launched_process() {
  for (const Variables& variables : known) {
    const auto rank = number(variables.rank);
    const auto size = number(variables.size);
    if (rank && size && *rank >= 0 && *rank < *size) {
      return LaunchedProcess{*rank, *size, variables.launcher, number(variables.on_this_node)};
    }
  }
  return std::nullopt;
}

}  // namespace epskew
