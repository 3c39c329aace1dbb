#include "backends/cpu/backend.hpp"
#include "backends/not_compiled.hpp"

namespace epskew {

const Backend& cpu_backend() {
  static const NotCompiled backend("cpu", "one process per rank over shared memory",
                                   "under construction");
  return backend;
}

}  // namespace epskew
