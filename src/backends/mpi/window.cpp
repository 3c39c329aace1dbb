#include "backends/mpi/window.hpp"

#include <algorithm>
#include <atomic>

#include "backends/mpi/guard.hpp"
#include "backends/mpi/library.hpp"
#include "epskew/support/error.hpp"

namespace epskew::mpi {
namespace {

/// A put counts its bytes in an int.
constexpr std::size_t largest_put = std::size_t{1} << 30;

}  // namespace

Window::Window(MPI_Comm comm, std::size_t bytes, Control& control)
    : comm_(comm), bytes_(bytes), control_(&control) {
  require_everywhere(allocate());
  check(MPI_Win_lock_all(MPI_MODE_NOCHECK, window_), "MPI_Win_lock_all");
}

int Window::allocate() {
  const Watched watched("making the window (MPI_Win_allocate)", control_->timeout());
  return MPI_Win_allocate(static_cast<MPI_Aint>(bytes_), 1, MPI_INFO_NULL, comm_, &data_, &window_);
}

void Window::require_everywhere(int made) {
  int mine = made == MPI_SUCCESS ? 1 : 0;
  int all = 0;
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Iallreduce(&mine, &all, 1, MPI_INT, MPI_MIN, comm_, &request), "MPI_Iallreduce");
  control_->wait(request);
  if (all == 1) return;
  throw EnvironmentError(
      "MPI_Win_allocate failed (this MPI library has no one-sided transport between these processes); start "
      "Open MPI "
      "with --mca osc pt2pt, or choose another --variant exchange=");
}

void Window::open() {
  check(MPI_Win_sync(window_), "MPI_Win_sync");
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Ibarrier(comm_, &request), "MPI_Ibarrier");
  control_->wait(request);
}

Window::~Window() {
  if (Library::instance().broken()) return;
  const Watched watched("giving the window up (MPI_Win_free)", control_->timeout());
  MPI_Win_unlock_all(window_);
  MPI_Win_free(&window_);
}

void Window::put(int to, std::size_t offset, const void* from, std::size_t bytes) {
  const auto* source = static_cast<const std::byte*>(from);
  for (std::size_t done = 0; done < bytes; done += largest_put) {
    const int count = static_cast<int>(std::min(largest_put, bytes - done));
    check(MPI_Put(source + done, count, MPI_BYTE, to, static_cast<MPI_Aint>(offset + done), count, MPI_BYTE,
                  window_),
          "MPI_Put");
  }
}

void Window::flush(int to) {
  const Watched watched("waits in MPI_Win_flush for " + control_->name_of(to), control_->timeout() / 2);
  check(MPI_Win_flush(to, window_), "MPI_Win_flush");
}

void Window::put_word(int to, std::size_t offset, const std::uint64_t& value) {
  check(MPI_Accumulate(&value, 1, MPI_UINT64_T, to, static_cast<MPI_Aint>(offset), 1, MPI_UINT64_T,
                       MPI_REPLACE, window_),
        "MPI_Accumulate");
}

std::uint64_t Window::word(std::size_t offset) const {
  MPI_Win_sync(window_);
  auto& place = *reinterpret_cast<std::uint64_t*>(data_ + offset);
  return std::atomic_ref<std::uint64_t>(place).load(std::memory_order_acquire);
}

}  // namespace epskew::mpi
