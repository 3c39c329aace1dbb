#include "fit/floor.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "epskew/support/random.hpp"
#include "fit/curves.hpp"
#include "fit/streams.hpp"

namespace epskew::fit {
namespace {

std::int64_t selections_of(const FloorShape& shape) {
  std::int64_t sum = 0;
  for (std::size_t k = 0; k < shape.size(); ++k) sum += static_cast<std::int64_t>(k) * shape[k];
  return sum;
}

/// Above so many single selections counts are drawn, which takes no longer for more of them.
constexpr std::int64_t many_selections = 10'000'000;

/// Repetitions of every shape: enough for the mean over all of them, fewer where there is much to draw (and
/// its factor sure) in one go.
int repetitions(const std::vector<FloorShape>& shapes, int num_experts) {
  constexpr double budget = 3e6;
  double draws = 1;
  for (const FloorShape& shape : shapes) {
    draws += static_cast<double>(selections_of(shape));
    if (shape.size() > 1 && shape[1] > many_selections) draws += static_cast<double>(num_experts - shape[1]);
  }
  const double least = std::ceil(4.0 / static_cast<double>(shapes.size()));
  return static_cast<int>(std::clamp(budget / draws, least, 64.0));
}

/// Draws counts of experts. Keeps its memory between draws.
class Drawer {
 public:
  explicit Drawer(int num_experts)
      : experts_(static_cast<std::size_t>(num_experts)), counts_(static_cast<std::size_t>(num_experts)) {
    std::iota(experts_.begin(), experts_.end(), 0);
  }

  /// [num_experts]
  const std::vector<std::int64_t>& draw(const FloorShape& shape, RandomStream& random) {
    std::fill(counts_.begin(), counts_.end(), 0);
    for (std::size_t k = 1; k < shape.size(); ++k) {
      if (k == 1 && shape[k] > many_selections) {
        draw_many(shape[k], random);
      } else {
        for (std::int64_t token = 0; token < shape[k]; ++token)
          draw_token(static_cast<std::uint32_t>(k), random);
      }
    }
    return counts_;
  }

 private:
  // The first k experts become a uniformly random choice of distinct ones, whatever their order was.
  void draw_token(std::uint32_t k, RandomStream& random) {
    const auto n = static_cast<std::uint32_t>(experts_.size());
    for (std::uint32_t i = 0; i < k; ++i) {
      std::swap(experts_[i], experts_[i + random.below(n - i)]);
      ++counts_[experts_[i]];
    }
  }

  // A multinomial draw, expert by expert: what an expert gets of what is left is binomial. With thousands for
  // each its quantile is the normal one, corrected for its skewness (Cornish and Fisher), to a part in a
  // thousand of its standard deviation.
  void draw_many(std::int64_t left, RandomStream& random) {
    for (std::size_t i = 0; i + 1 < counts_.size(); ++i) {
      const double p = 1.0 / static_cast<double>(counts_.size() - i);
      const double sigma = std::sqrt(static_cast<double>(left) * p * (1 - p));
      const double z = normal_quantile(random.uniform());
      const double skewed = sigma > 0 ? z + (1 - 2 * p) * (z * z - 1) / (6 * sigma) : 0;
      const auto drawn =
          static_cast<std::int64_t>(std::llround(static_cast<double>(left) * p + sigma * skewed));
      const std::int64_t count = std::clamp<std::int64_t>(drawn, 0, left);
      counts_[i] += count;
      left -= count;
    }
    counts_.back() += left;
  }

  std::vector<std::size_t> experts_;
  std::vector<std::int64_t> counts_;
};

}  // namespace

FloorShape floor_shape(const TraceLayer& layer, std::int64_t first, std::int64_t last) {
  const auto topk = static_cast<std::size_t>(layer.topk);
  FloorShape shape(topk + 1, 0);
  for (auto row = static_cast<std::size_t>(first); row < static_cast<std::size_t>(last); ++row) {
    const auto begin = layer.topk_idx.begin() + static_cast<std::ptrdiff_t>(row * topk);
    const auto selected =
        std::count_if(begin, begin + layer.topk, [](std::int32_t expert) { return expert >= 0; });
    ++shape[static_cast<std::size_t>(selected)];
  }
  return shape;
}

FloorShape floor_shape(const TraceLayer& layer) {
  if (layer.topk > 0) return floor_shape(layer, 0, layer.num_tokens());
  return {0, std::accumulate(layer.counts.begin(), layer.counts.end(), std::int64_t{0})};
}

std::vector<double> uniform_floor(const std::vector<FloorShape>& shapes, const std::vector<Level>& levels,
                                  std::uint64_t seed) {
  RandomStream random(seed, stream_of(Purpose::floor));
  Drawer drawer(levels.front().num_experts);
  const int repeats = repetitions(shapes, levels.front().num_experts);
  const double draws = static_cast<double>(repeats) * static_cast<double>(shapes.size());
  std::vector<double> mean(levels.size(), 0.0);
  for (const FloorShape& shape : shapes) {
    const auto selections = static_cast<double>(selections_of(shape));
    for (int repeat = 0; repeat < repeats; ++repeat) {
      const std::vector<std::int64_t>& counts = drawer.draw(shape, random);
      for (std::size_t l = 0; l < levels.size(); ++l) {
        const std::vector<double> loads = level_loads(levels[l], counts);
        const double largest = *std::max_element(loads.begin(), loads.end());
        mean[l] += (selections > 0 ? largest * levels[l].places() / selections : 1) / draws;
      }
    }
  }
  return mean;
}

}  // namespace epskew::fit
