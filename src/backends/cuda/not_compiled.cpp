#include "backends/not_compiled.hpp"

#include "backends/cuda/backend.hpp"

namespace epskew {

const Backend& cuda_backend() {
  static const NotCompiled backend(
      "cuda", "GPUs over peer memory, or several ranks on one GPU",
      "install the CUDA toolkit (nvcc 13) and configure with -DEPSKEW_ENABLE_CUDA=ON");
  return backend;
}

}  // namespace epskew
