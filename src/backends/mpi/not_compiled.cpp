#include "backends/mpi/backend.hpp"
#include "backends/not_compiled.hpp"

namespace epskew {

const Backend& mpi_backend() {
  static const NotCompiled backend("mpi", "ranks of an MPI job, on one machine or many",
                                   "this version has no MPI backend yet; use --backend cpu on one machine");
  return backend;
}

}  // namespace epskew
