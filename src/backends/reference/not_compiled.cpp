#include "backends/reference/backend.hpp"
#include "backends/not_compiled.hpp"

namespace epskew {

const Backend& reference_backend() {
  static const NotCompiled backend("reference", "all ranks in one thread, the plain truth",
                                   "under construction");
  return backend;
}

}  // namespace epskew
