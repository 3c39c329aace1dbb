#include "backends/mpi/left_segments.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>

namespace epskew::mpi {
namespace {

/// The number that Open MPI gave this job.
std::optional<std::uint32_t> job_number() {
  const char* text = std::getenv("PMIX_NAMESPACE");
  if (text == nullptr) return std::nullopt;
  const std::string digits = text;
  std::uint32_t number = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (parsed.ec != std::errc{} || parsed.ptr != digits.data() + digits.size()) return std::nullopt;
  return number;
}

}  // namespace

void remove_left_segments() {
  const auto job = job_number();
  if (!job) return;
  // vader_segment.<host>.<user>.<job>.<place on the host>
  const std::string of_job = fmt::format(".{}.{:x}.", geteuid(), *job);
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm", failed)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("vader_segment.") || name.find(of_job) == std::string::npos) continue;
    std::filesystem::remove(entry.path(), failed);
  }
}

}  // namespace epskew::mpi
