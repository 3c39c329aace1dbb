#include "backends/mpi/simulated.hpp"

#include <fmt/format.h>
#include <mpi.h>
#include <simgrid/version.h>
#include <smpi/smpi.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <set>
#include <system_error>

#include "epskew/support/error.hpp"

namespace {

constexpr std::size_t never = std::numeric_limits<std::size_t>::max();

/// Allocations of so many bytes and more are payload; none before fold_payload().
std::size_t folded_from = never;

bool folds() {
  return folded_from != never;
}

/// More than any list of a routing takes: none has 16 bytes for each of its selections.
std::size_t least_folded(const epskew::ExchangeShape& shape) {
  const auto selections = static_cast<std::size_t>(shape.num_ranks) *
                          static_cast<std::size_t>(shape.max_tokens) * static_cast<std::size_t>(shape.topk);
  return std::max(std::size_t{1} << 20, 16 * selections);
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
  const bool fold = bytes >= folded_from;
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

void fold_payload(const ExchangeShape& shape) {
  const char* const text = std::getenv("EPSKEW_FOLD_PAYLOAD");
  if (text == nullptr) return;
  const std::size_t least = least_folded(shape);
  const char* const end = text + std::strlen(text);
  std::size_t bytes = 0;
  const auto [next, error] = std::from_chars(text, end, bytes);
  if (error != std::errc() || next != end) {
    throw UsageError(fmt::format(
        "EPSKEW_FOLD_PAYLOAD={} is not a number of bytes (digits alone are one); set it to {} or more", text,
        least));
  }
  if (bytes < least) {
    throw UsageError(fmt::format(
        "EPSKEW_FOLD_PAYLOAD={} is too little for this shape (lists of its routing can be as long, "
        "and on pages that they share they would hold each other's values); set it to {} or more",
        text, least));
  }
  folded_from = bytes;
}

bool payload_is_folded() {
  return folds();
}

Simulation simulation() {
  const char* platform = std::getenv("EPSKEW_PLATFORM");
  const char* schedule = std::getenv("EPSKEW_SCHEDULE");
  return {fmt::format("SimGrid {}.{} SMPI{}{}", SIMGRID_VERSION_MAJOR, SIMGRID_VERSION_MINOR,
                      schedule == nullptr ? "" : ", messages ", schedule == nullptr ? "" : schedule),
          platform == nullptr ? "an unnamed platform" : platform, folds()};
}

}  // namespace epskew::mpi
