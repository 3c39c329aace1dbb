#include "epskew/support/memory.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include "epskew/support/error.hpp"

namespace epskew {

double physical_memory_bytes() {
  return static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

void require_memory(double bytes, const std::string& what, const std::string& remedy) {
  const double there = physical_memory_bytes();
  if (bytes <= there) return;
  throw UsageError(fmt::format("{} needs {:.1f} GB (this machine has {:.1f} GB); {}", what, bytes / 1e9,
                               there / 1e9, remedy));
}

}  // namespace epskew
