#include "epskew/report/provenance.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <gnu/libc-version.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <boost/version.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "epskew/support/memory.hpp"
#include "measure/cache_flush.hpp"
#include "report/build_info_generated.hpp"

namespace epskew {
namespace {

// The text after "<key> :" in a file of such lines; empty where there is none.
std::string field_of(const std::filesystem::path& file, std::string_view key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const auto colon = line.find(':');
    if (!line.starts_with(key) || colon == std::string::npos) continue;
    const auto value = line.find_first_not_of(" \t", colon + 1);
    return value == std::string::npos ? "" : line.substr(value);
  }
  return "";
}

int usable_cores() {
  cpu_set_t usable;
  CPU_ZERO(&usable);
  return ::sched_getaffinity(0, sizeof usable, &usable) == 0
             ? CPU_COUNT(&usable)
             : static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
}

CpuRecord describe_cpu(const std::string& machine) {
  std::string model = field_of("/proc/cpuinfo", "model name");
  if (model.empty()) model = machine;  // other architectures do not name theirs
  return {model, usable_cores(), last_level_cache_bytes()};
}

std::vector<std::string> find_gpus() {
  std::vector<std::string> models;
  std::error_code absent;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/driver/nvidia/gpus", absent)) {
    models.push_back(field_of(entry.path() / "information", "Model"));
  }
  std::sort(models.begin(), models.end());
  return models;
}

// "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15  Tue …" → 570.86.15
std::optional<std::string> find_driver() {
  std::istringstream words(field_of("/proc/driver/nvidia/version", "NVRM version"));
  for (std::string word; words >> word;) {
    if (word.find('.') != std::string::npos && word.find_first_not_of("0123456789.") == std::string::npos)
      return word;
  }
  return std::nullopt;
}

std::map<std::string, std::string> library_versions() {
  const unsigned xxhash = XXH_VERSION_NUMBER;
  return {{"boost",
           fmt::format("{}.{}.{}", BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000, BOOST_VERSION % 100)},
          {"fmt", fmt::format("{}.{}.{}", FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100)},
          {"glibc", ::gnu_get_libc_version()},
          {"nlohmann_json", fmt::format("{}.{}.{}", NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR,
                                        NLOHMANN_JSON_VERSION_PATCH)},
          {"xxhash", fmt::format("{}.{}.{}", xxhash / 10000, xxhash / 100 % 100, xxhash % 100)}};
}

std::optional<std::string> commit_of_build() {
  const std::string commit = EPSKEW_BUILD_COMMIT;
  return commit.empty() ? std::nullopt : std::optional(commit);
}

}  // namespace

const char* library_version() {
  return EPSKEW_BUILD_VERSION;
}

void add_provenance(Record& record) {
  struct utsname system {};
  ::uname(&system);
  record.tool.version = library_version();
  record.created =
      fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                  fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
  record.host.name = system.nodename;
  record.host.system = fmt::format("{} {} {}", system.sysname, system.release, system.machine);
  record.host.memory_bytes = static_cast<std::int64_t>(physical_memory_bytes());
  record.cpu = describe_cpu(system.machine);
  record.gpu = find_gpus();
  record.driver = find_driver();
  record.libraries = library_versions();
  record.build = {EPSKEW_BUILD_COMPILER, EPSKEW_BUILD_FLAGS, EPSKEW_BUILD_TYPE, commit_of_build()};
}

ClockRecord describe_steady_clock() {
  using Clock = std::chrono::steady_clock;
  auto smallest = Clock::duration::max();
  for (int i = 0; i < 1000; ++i) {
    const auto start = Clock::now();
    auto end = Clock::now();
    while (end == start) end = Clock::now();
    smallest = std::min(smallest, end - start);
  }
  return {"steady_clock", std::chrono::duration<double, std::nano>(smallest).count()};
}

}  // namespace epskew
