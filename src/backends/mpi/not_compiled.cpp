#include "backends/not_compiled.hpp"

#include "backends/mpi/backend.hpp"

namespace epskew {

const Backend& mpi_backend() {
  static const NotCompiled backend("mpi", "ranks of an MPI job, on one machine or many",
                                   "install libopenmpi-dev (or libmpich-dev) and build again");
  return backend;
}

}  // namespace epskew
