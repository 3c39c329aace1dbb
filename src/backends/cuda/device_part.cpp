#include "backends/cuda/device_part.hpp"

#include <fmt/format.h>

#include "epskew/support/error.hpp"

namespace epskew::cuda {
namespace {

void enable_one_way(int from, int to) {
  int linked = 0;
  check(cudaDeviceCanAccessPeer(&linked, from, to), "cudaDeviceCanAccessPeer");
  if (linked == 0) {
    throw UsageError(fmt::format(
        "GPU {} cannot load and store the memory of GPU {} (no peer link); choose other devices", from, to));
  }
  check(cudaSetDevice(from), "cudaSetDevice");
  const cudaError_t error = cudaDeviceEnablePeerAccess(to, 0);
  if (error == cudaErrorPeerAccessAlreadyEnabled) {
    cudaGetLastError();  // an earlier world did it
    return;
  }
  check(error, "cudaDeviceEnablePeerAccess");
}

}  // namespace

void enable_peer_access(const std::vector<int>& devices) {
  for (const int from : devices) {
    for (const int to : devices) {
      if (from != to) enable_one_way(from, to);
    }
  }
}

}  // namespace epskew::cuda
