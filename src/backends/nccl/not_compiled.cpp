#include "backends/nccl/backend.hpp"
#include "backends/not_compiled.hpp"

namespace epskew {

const Backend& nccl_backend() {
  static const NotCompiled backend("nccl", "GPUs over NCCL's device API",
                                   "this version has no NCCL backend yet; use --backend cuda on one machine");
  return backend;
}

}  // namespace epskew
