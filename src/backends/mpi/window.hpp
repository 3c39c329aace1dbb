#pragma once

/// A passive-target window of this process and those of all others: one-sided writes and the flags that
/// announce them.

#include <mpi.h>

#include <cstddef>
#include <cstdint>

#include "backends/mpi/control.hpp"

namespace epskew::mpi {

class Window {
 public:
  /// Collective: every process makes `bytes` of its memory writable to all. Its content is undefined. Throws
  /// EnvironmentError in all of them where MPI cannot do that.
  Window(MPI_Comm comm, std::size_t bytes, Control& control);
  ~Window();
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  /// Collective: what every process has written to its own memory so far is visible, and others may begin to
  /// write.
  void open();
  std::byte* data() const { return data_; }
  std::size_t size() const { return bytes_; }
  /// Starts a write. `from` must stay until flush(to).
  void put(int to, std::size_t offset, const void* from, std::size_t bytes);
  /// Returns when all writes to `to` are complete there. Ends the run where that takes more than half of the
  /// timeout.
  void flush(int to);
  /// Sets the 64-bit word at `offset` of `to`; complete after flush(to).
  void put_word(int to, std::size_t offset, const std::uint64_t& value);
  /// A word of this process's own window, as others wrote it last.
  std::uint64_t word(std::size_t offset) const;

 private:
  int allocate();
  /// `made`: what allocate() returned here.
  void require_everywhere(int made);

  MPI_Comm comm_;
  MPI_Win window_ = MPI_WIN_NULL;
  std::byte* data_ = nullptr;
  std::size_t bytes_;
  Control* control_;
};

}  // namespace epskew::mpi
