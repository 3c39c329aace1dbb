#include "backends/cuda/peer_arenas.hpp"

#include <cuda_runtime_api.h>

#include <cstring>

#include "backends/cuda/device.hpp"

namespace epskew::cuda {

std::vector<std::string> gather_gpus(Bootstrap& bootstrap, int device) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
  return bootstrap.all_gather(std::string(properties.uuid.bytes, sizeof properties.uuid.bytes),
                              "naming its GPU");
}

PeerArenas::PeerArenas(Bootstrap& bootstrap, char* mine)
    : own_(bootstrap.rank()),
      arenas_(static_cast<std::size_t>(bootstrap.size()), nullptr),
      obstacles_(static_cast<std::size_t>(bootstrap.size())) {
  cudaIpcMemHandle_t handle{};
  check(cudaIpcGetMemHandle(&handle, mine), "cudaIpcGetMemHandle");
  const auto handles = bootstrap.all_gather(std::string(handle.reserved, sizeof handle.reserved),
                                            "exchanging the handles of GPU memory");
  for (std::size_t rank = 0; rank < handles.size(); ++rank) {
    if (static_cast<int>(rank) == own_) {
      arenas_[rank] = mine;
      continue;
    }
    std::memcpy(handle.reserved, handles[rank].data(), sizeof handle.reserved);
    void* there = nullptr;
    const cudaError_t error = cudaIpcOpenMemHandle(&there, handle, cudaIpcMemLazyEnablePeerAccess);
    if (error != cudaSuccess) {
      cudaGetLastError();  // the next call must not report it again
      obstacles_[rank] = cudaGetErrorString(error);
      continue;
    }
    arenas_[rank] = static_cast<char*>(there);
  }
}

PeerArenas::~PeerArenas() {
  for (std::size_t rank = 0; rank < arenas_.size(); ++rank) {
    if (static_cast<int>(rank) != own_ && arenas_[rank] != nullptr) cudaIpcCloseMemHandle(arenas_[rank]);
  }
}

}  // namespace epskew::cuda
