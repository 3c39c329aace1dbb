#pragma once

/// Memory of every rank of a node that all of them read and write directly.

#include <mpi.h>

#include <cstddef>
#include <vector>

#include "backends/mpi/control.hpp"

namespace epskew::mpi {

class SharedWindow {
 public:
  /// Collective over `node`; sizes may differ. Contents are undefined.
  SharedWindow(MPI_Comm node, std::size_t bytes, Control& control);
  ~SharedWindow();
  SharedWindow(const SharedWindow&) = delete;
  SharedWindow& operator=(const SharedWindow&) = delete;

  /// The memory of the node's `member`-th rank, 64-byte aligned.
  std::byte* of(int member) const { return parts_[static_cast<std::size_t>(member)]; }
  std::size_t bytes() const { return bytes_; }

 private:
  Control* control_;
  MPI_Win window_ = MPI_WIN_NULL;
  std::size_t bytes_;
  std::vector<std::byte*> parts_;
};

}  // namespace epskew::mpi
