#include "backends/mpi/shared_window.hpp"

#include <cstdint>

#include "backends/mpi/guard.hpp"
#include "backends/mpi/library.hpp"

namespace epskew::mpi {
namespace {

constexpr std::size_t cache_line = 64;

}  // namespace

SharedWindow::SharedWindow(MPI_Comm node, std::size_t bytes, Control& control)
    : control_(&control), bytes_(bytes) {
  const Watched watched("making shared memory (MPI_Win_allocate_shared)", control.timeout());
  MPI_Info info = MPI_INFO_NULL;
  check(MPI_Info_create(&info), "MPI_Info_create");
  check(MPI_Info_set(info, "alloc_shared_noncontig", "true"),
        "MPI_Info_set");  // every part on pages of its own
  void* mine = nullptr;
  const int made =
      MPI_Win_allocate_shared(static_cast<MPI_Aint>(bytes + cache_line), 1, info, node, &mine, &window_);
  MPI_Info_free(&info);
  check(made, "MPI_Win_allocate_shared");
  int members = 0;
  check(MPI_Comm_size(node, &members), "MPI_Comm_size");
  for (int member = 0; member < members; ++member) {
    MPI_Aint size = 0;
    int unit = 0;
    void* part = nullptr;
    check(MPI_Win_shared_query(window_, member, &size, &unit, &part), "MPI_Win_shared_query");
    const auto address = reinterpret_cast<std::uintptr_t>(part);
    parts_.push_back(static_cast<std::byte*>(part) + (cache_line - address % cache_line) % cache_line);
  }
}

SharedWindow::~SharedWindow() {
  if (Library::instance().broken()) return;
  const Watched watched("giving shared memory up (MPI_Win_free)", control_->timeout());
  MPI_Win_free(&window_);
}

}  // namespace epskew::mpi
