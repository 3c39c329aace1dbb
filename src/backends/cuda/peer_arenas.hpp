#pragma once

/// Arenas of the other processes of a job, mapped into this one through CUDA IPC.

#include <string>
#include <vector>

#include "backends/cuda/bootstrap.hpp"

namespace epskew::cuda {

/// Which GPU each process of a job uses, by rank. Collective. An identity is the same for the same GPU,
/// whatever its number.
std::vector<std::string> gather_gpus(Bootstrap& bootstrap, int device);

class PeerArenas {
 public:
  /// Collective. `mine`: the start of this process's allocation.
  PeerArenas(Bootstrap& bootstrap, char* mine);
  PeerArenas(const PeerArenas&) = delete;
  PeerArenas& operator=(const PeerArenas&) = delete;
  ~PeerArenas();

  /// Arena of `rank` as this process sees it; null where it is not reachable by load and store. A transport
  /// for such ranks would begin here.
  char* of(int rank) const { return arenas_[static_cast<std::size_t>(rank)]; }
  /// Why `rank` is not reachable.
  const std::string& obstacle(int rank) const { return obstacles_[static_cast<std::size_t>(rank)]; }

 private:
  int own_;
  std::vector<char*> arenas_;           ///< [R]
  std::vector<std::string> obstacles_;  ///< [R]
};

}  // namespace epskew::cuda
