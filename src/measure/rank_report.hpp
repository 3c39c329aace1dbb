#pragma once

/// What one process of the world measured, and how it travels to the root.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "epskew/measure/round.hpp"

namespace epskew {

struct RankReport {
  std::vector<int> ranks;        ///< the process's local ranks
  std::int64_t flush_bytes = 0;  ///< written before an iteration by this process
  std::array<std::vector<IterationSample>, all_timing_modes.size()>
      samples;                    ///< by mode: [iterations][local ranks]
  std::vector<MemoryUse> memory;  ///< [local ranks]
};

/// For processes of one program on machines of one architecture.
std::string encode(const RankReport& report);
/// Throws EnvironmentError for bytes that encode did not make.
RankReport decode(std::string_view bytes);

/// The [iteration][rank] matrices of the world. Throws EnvironmentError unless the reports cover every rank
/// once, agree on the number of iterations, and each phase was measured on every rank and iteration or on
/// none.
RoundResult merge(const std::vector<RankReport>& reports, int num_ranks);

}  // namespace epskew
