#pragma once

/// The raw material of every figure: the [iteration][rank] matrix.

#include <optional>
#include <vector>

#include "epskew/exchange/phase.hpp"

namespace epskew {

/// Times of one phase, microseconds. Empty where the phase was not measured.
struct SampleMatrix {
  int num_ranks = 0;
  std::vector<double> us;  ///< [iterations][num_ranks]
  int iterations() const { return num_ranks == 0 ? 0 : static_cast<int>(us.size()) / num_ranks; }
  double at(int iteration, int rank) const { return us[static_cast<std::size_t>(iteration) * num_ranks + rank]; }
};

/// max over ranks, per iteration: what the pace is set by.
std::vector<double> slowest_rank(const SampleMatrix& samples);

}  // namespace epskew
