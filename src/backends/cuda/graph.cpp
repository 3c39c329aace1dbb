#include "backends/cuda/graph.hpp"

#include "backends/cuda/device.hpp"

namespace epskew::cuda {

GraphReplay::~GraphReplay() {
  if (executable_ != nullptr) cudaGraphExecDestroy(executable_);
}

void GraphReplay::run(cudaStream_t stream, const std::function<void()>& submit) {
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  cudaGraph_t graph = nullptr;
  try {
    submit();
  } catch (...) {
    cudaStreamEndCapture(stream, &graph);
    if (graph != nullptr) cudaGraphDestroy(graph);
    throw;
  }
  check(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
  bool fits = false;
  if (executable_ != nullptr) {
    cudaGraphExecUpdateResultInfo info{};
    fits = cudaGraphExecUpdate(executable_, graph, &info) == cudaSuccess;
    if (!fits) {
      cudaGetLastError();  // a sequence of another shape is no error
      cudaGraphExecDestroy(executable_);
      executable_ = nullptr;
    }
  }
  const cudaError_t error = fits ? cudaSuccess : cudaGraphInstantiate(&executable_, graph, 0);
  cudaGraphDestroy(graph);
  check(error, "cudaGraphInstantiate");
  check(cudaGraphLaunch(executable_, stream), "cudaGraphLaunch");
}

}  // namespace epskew::cuda
