#include "fit/floor.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "epskew/support/random.hpp"
#include "fit/streams.hpp"

namespace epskew::fit {
namespace {

/// Repetitions: enough for the mean, fewer where one routing is large (and its factor sure) by itself.
int repetitions(std::int64_t selections) {
  constexpr std::int64_t budget = 3'000'000;
  return static_cast<int>(std::clamp<std::int64_t>(budget / std::max<std::int64_t>(selections, 1), 4, 64));
}

/// The first topk of `experts` become a uniformly random choice of distinct ones, whatever their order was.
void draw_experts(std::vector<std::int32_t>& experts, int topk, RandomStream& random) {
  const auto n = static_cast<std::uint32_t>(experts.size());
  for (std::uint32_t k = 0; k < static_cast<std::uint32_t>(topk); ++k) {
    std::swap(experts[k], experts[k + random.below(n - k)]);
  }
}

}  // namespace

std::vector<double> uniform_floor(const FloorShape& shape, const std::vector<Level>& levels,
                                  std::uint64_t seed) {
  std::vector<double> mean(levels.size(), shape.tokens == 0 ? 1.0 : 0.0);
  if (shape.tokens == 0) return mean;
  RandomStream random(seed, stream_of(Purpose::floor));
  std::vector<std::int32_t> experts(static_cast<std::size_t>(shape.num_experts));
  std::iota(experts.begin(), experts.end(), 0);
  const int repeats = repetitions(shape.tokens * shape.topk);
  std::vector<std::int64_t> counts(experts.size());
  for (int repeat = 0; repeat < repeats; ++repeat) {
    std::fill(counts.begin(), counts.end(), 0);
    for (std::int64_t token = 0; token < shape.tokens; ++token) {
      draw_experts(experts, shape.topk, random);
      for (int k = 0; k < shape.topk; ++k)
        ++counts[static_cast<std::size_t>(experts[static_cast<std::size_t>(k)])];
    }
    for (std::size_t l = 0; l < levels.size(); ++l) {
      const std::vector<double> loads = level_loads(levels[l], counts);
      const double largest = *std::max_element(loads.begin(), loads.end());
      const double selections = static_cast<double>(shape.tokens) * shape.topk;
      mean[l] += largest * levels[l].places() / selections / repeats;
    }
  }
  return mean;
}

}  // namespace epskew::fit
