#include "backends/mpi/simulated.hpp"

#include <fmt/format.h>
#include <mpi.h>
#include <simgrid/version.h>
#include <smpi/smpi.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <new>
#include <set>

#include "epskew/support/error.hpp"

namespace {

constexpr std::size_t never = std::numeric_limits<std::size_t>::max();

/// Allocations of so many bytes and more are payload. Whoever starts the simulation says it, since it must be
/// more than any list of counts or indices of the routing takes: 1 MiB is enough up to 64 ranks of the
/// default shape.
std::size_t folded_from() {
  static const std::size_t bytes = [] {
    const char* given = std::getenv("EPSKEW_FOLD_PAYLOAD");
    if (given == nullptr) return never;
    return std::max(std::size_t{1} << 20, std::size_t{std::strtoull(given, nullptr, 10)});
  }();
  return bytes;
}

bool folds() {
  return folded_from() != never;
}

/// What this rank has folded; never destroyed, as memory is given back until the very end.
std::set<void*>& folded() {
  static auto* all = new std::set<void*>;
  return *all;
}

}  // namespace

/// Folding: all rows of all ranks lie on the same few pages. Sizes, counts and times stay right, contents do
/// not.
void* operator new(std::size_t bytes) {
  const bool fold = bytes >= folded_from();
  void* memory = fold ? SMPI_SHARED_MALLOC(bytes) : std::malloc(bytes == 0 ? 1 : bytes);
  if (memory == nullptr) throw std::bad_alloc();
  if (fold) folded().insert(memory);
  return memory;
}

void operator delete(void* memory) noexcept {
  if (memory != nullptr && folds() && folded().erase(memory) > 0) {
    SMPI_SHARED_FREE(memory);
  } else {
    std::free(memory);
  }
}

void operator delete(void* memory, std::size_t /*bytes*/) noexcept {
  operator delete(memory);
}

/// std::chrono::steady_clock::now(), for which the linker puts this (--wrap): simulated time as soon as there
/// is any.
extern "C" std::int64_t __wrap__ZNSt6chrono3_V212steady_clock3nowEv() {
  int started = 0;
  int ended = 0;
  MPI_Initialized(&started);
  MPI_Finalized(&ended);
  if (started == 0 || ended != 0) return 0;
  return static_cast<std::int64_t>(MPI_Wtime() * 1e9);
}

namespace epskew::mpi {

bool payload_is_folded() {
  return folds();
}

Simulation simulation() {
  const char* platform = std::getenv("EPSKEW_PLATFORM");
  return {fmt::format("SimGrid {}.{} SMPI", SIMGRID_VERSION_MAJOR, SIMGRID_VERSION_MINOR),
          platform == nullptr ? "an unnamed platform" : platform, folds()};
}

}  // namespace epskew::mpi
