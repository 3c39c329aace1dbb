#include "epskew/measure/samples.hpp"

#include <algorithm>

namespace epskew {

std::vector<double> slowest_rank(const SampleMatrix& samples) {
  std::vector<double> slowest;
  for (auto row = samples.us.begin(); row != samples.us.end(); row += samples.num_ranks) {
    slowest.push_back(*std::max_element(row, row + samples.num_ranks));
  }
  return slowest;
}

std::vector<double> times_of_rank(const SampleMatrix& samples, int rank) {
  std::vector<double> times;
  for (int i = 0; i < samples.iterations(); ++i) times.push_back(samples.at(i, rank));
  return times;
}

std::vector<std::int64_t> times_slowest(const SampleMatrix& samples) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(samples.num_ranks));
  for (auto row = samples.us.begin(); row != samples.us.end(); row += samples.num_ranks) {
    ++counts[static_cast<std::size_t>(std::max_element(row, row + samples.num_ranks) - row)];
  }
  return counts;
}

std::vector<double> shares_slowest(const SampleMatrix& samples) {
  std::vector<double> shares(static_cast<std::size_t>(samples.num_ranks));
  for (auto row = samples.us.begin(); row != samples.us.end(); row += samples.num_ranks) {
    const double slowest = *std::max_element(row, row + samples.num_ranks);
    const auto ties = static_cast<double>(std::count(row, row + samples.num_ranks, slowest));
    for (std::size_t rank = 0; rank < shares.size(); ++rank) {
      if (row[static_cast<std::ptrdiff_t>(rank)] == slowest) shares[rank] += 1 / ties;
    }
  }
  constexpr double rounding = 1e-9;
  const auto [least, most] = std::minmax_element(shares.begin(), shares.end());
  if (shares.empty() || *most - *least <= rounding * samples.iterations()) return {};
  return shares;
}

}  // namespace epskew
