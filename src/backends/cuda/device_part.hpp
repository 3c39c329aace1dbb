#pragma once

/// What one GPU of an exchange holds: the arenas of the ranks it plays, and the stream on which they run.

#include <vector>

#include "backends/cuda/device.hpp"
#include "backends/cuda/graph.hpp"
#include "backends/cuda/launch.hpp"

namespace epskew::cuda {

struct DevicePart {
  int device = 0;
  int first_rank = 0;
  int num_ranks = 0;
  Stream stream;
  DeviceMemory arenas;      ///< [num_ranks][arena bytes]
  DeviceMemory abort_word;  ///< one: the first wait on this GPU that gave up
  DeviceMemory stamps;
  DeviceMemory flush;  ///< made on first use
  GraphReplay replay;

  Stamp* device_stamps() const { return reinterpret_cast<Stamp*>(stamps.data()); }
};

/// Ranks [first, first + count) live on part `part` of `parts`: contiguous and as even as can be.
struct RankRange {
  int first;
  int count;
};
constexpr RankRange ranks_of_part(int part, int parts, int ranks) {
  const int first = part * ranks / parts;
  return {first, (part + 1) * ranks / parts - first};
}

/// Lets every device of `devices` load and store every other's memory. Throws UsageError where two are not
/// linked.
void enable_peer_access(const std::vector<int>& devices);

}  // namespace epskew::cuda
