#pragma once

/// The raw material of every figure: the [iteration][rank] matrix.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace epskew {

/// Times of one phase, microseconds. Empty where the phase was not measured.
struct SampleMatrix {
  int num_ranks = 0;
  std::vector<double> us;  ///< [iterations][num_ranks]
  int iterations() const { return num_ranks == 0 ? 0 : static_cast<int>(us.size()) / num_ranks; }
  double at(int iteration, int rank) const {
    return us[static_cast<std::size_t>(iteration) * num_ranks + rank];
  }
};

/// [iterations]: the maximum over ranks, which sets the pace.
std::vector<double> slowest_rank(const SampleMatrix& samples);
/// [iterations]: the times of one rank.
std::vector<double> times_of_rank(const SampleMatrix& samples, int rank);
/// [num_ranks]: in how many iterations each rank was the slowest; a tie counts for its lowest rank.
std::vector<std::int64_t> times_slowest(const SampleMatrix& samples);
/// [num_ranks]: the same with ties shared evenly among those that tie. Empty where all ranks have the same
/// share: then none is slower than another. A matrix without samples is such a case.
std::vector<double> shares_slowest(const SampleMatrix& samples);

}  // namespace epskew
