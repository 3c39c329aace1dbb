#pragma once

/// A captured sequence of launches that is replayed, with new arguments each time.

#include <cuda_runtime_api.h>

#include <functional>

namespace epskew::cuda {

class GraphReplay {
 public:
  GraphReplay() = default;
  GraphReplay(const GraphReplay&) = delete;
  GraphReplay& operator=(const GraphReplay&) = delete;
  ~GraphReplay();

  /// Captures what `submit` launches on `stream` and runs it as one graph launch. Where the sequence is the
  /// one of the previous call but for its arguments (epochs, buffer sets), the instantiated graph is updated,
  /// not rebuilt.
  void run(cudaStream_t stream, const std::function<void()>& submit);

 private:
  cudaGraphExec_t executable_ = nullptr;
};

}  // namespace epskew::cuda
