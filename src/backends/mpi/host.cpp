#include "backends/mpi/host.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <vector>

namespace epskew::mpi {
namespace {

std::vector<int> allowed_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

}  // namespace

std::string host_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "unknown host";
  return name.data();
}

std::string usable_cores() {
  const std::vector<int> cores = allowed_cores();
  std::string text;
  for (std::size_t first = 0; first < cores.size();) {
    std::size_t last = first;
    while (last + 1 < cores.size() && cores[last + 1] == cores[last] + 1) ++last;
    if (!text.empty()) text += ',';
    text += first == last ? fmt::format("{}", cores[first]) : fmt::format("{}-{}", cores[first], cores[last]);
    first = last + 1;
  }
  return text;
}

int socket_of_first_core() {
  const std::vector<int> cores = allowed_cores();
  if (cores.empty()) return -1;
  std::ifstream file(
      fmt::format("/sys/devices/system/cpu/cpu{}/topology/physical_package_id", cores.front()));
  int socket = -1;
  return file >> socket ? socket : -1;
}

}  // namespace epskew::mpi
