// Every law by least squares on 26 layers × (64 experts, 4, 8, 16 and 32 ranks), as `fit --bootstrap 0` does
// for SSE. bench/peers/fit_scipy.py does the same with scipy on the same counts.

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "epskew/fit/least_squares.hpp"
#include "epskew/trace/trace.hpp"
#include "fit/level_loads.hpp"

namespace epskew {
namespace {

const std::vector<int> level_ranks = {0, 4, 8, 16, 32};  // 0: experts

struct LevelOfLoads {
  int places;
  std::vector<std::vector<double>> layers;
};

std::vector<LevelOfLoads> load_levels() {
  const Trace trace = read_trace(std::string(EPSKEW_SOURCE_DIR) + "/tests/fit/counts.csv", {});
  std::vector<LevelOfLoads> levels;
  for (const int ranks : level_ranks) {
    const fit::Level level{trace.num_experts, ranks, nullptr};
    LevelOfLoads of{level.places(), {}};
    for (const TraceLayer& layer : trace.layers) {
      of.layers.push_back(sorted_loads(fit::level_loads(level, layer.counts), "layer"));
    }
    levels.push_back(std::move(of));
  }
  return levels;
}

/// The whole job, tables of curves included.
void fit_every_law(benchmark::State& state) {
  const std::vector<LevelOfLoads> levels = load_levels();
  std::int64_t fits = 0;
  for (auto _ : state) {
    for (const LevelOfLoads& level : levels) {
      const LeastSquares fitter(level.places);
      for (const std::vector<double>& loads : level.layers) {
        for (const LawFamily family : law_families()) {
          benchmark::DoNotOptimize(fitter.fit(family, loads).sse);
          ++fits;
        }
      }
    }
  }
  state.SetItemsProcessed(fits);
}

void fit_one_law(benchmark::State& state) {
  const auto family = static_cast<LawFamily>(state.range(0));
  const std::vector<LevelOfLoads> levels = load_levels();
  const LeastSquares fitter(levels.front().places);
  std::size_t layer = 0;
  const auto& layers = levels.front().layers;
  for (auto _ : state) {
    benchmark::DoNotOptimize(fitter.fit(family, layers[layer++ % layers.size()]).sse);
  }
  state.SetLabel(std::string(name_of(family)));
}

/// What resampling uses in its place.
void approximate_one_law(benchmark::State& state) {
  const auto family = static_cast<LawFamily>(state.range(0));
  const std::vector<LevelOfLoads> levels = load_levels();
  const LeastSquares fitter(levels.front().places);
  for (auto _ : state) {
    benchmark::DoNotOptimize(fitter.approximate(family, levels.front().layers.front()).sse);
  }
  state.SetLabel(std::string(name_of(family)));
}

void tabulate_curves(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(LeastSquares(static_cast<int>(state.range(0))).places());
}

BENCHMARK(fit_every_law)->Unit(benchmark::kMillisecond);
BENCHMARK(fit_one_law)->DenseRange(0, num_law_families - 1)->Unit(benchmark::kMicrosecond);
BENCHMARK(approximate_one_law)->DenseRange(0, num_law_families - 1)->Unit(benchmark::kMicrosecond);
BENCHMARK(tabulate_curves)->Arg(64)->Arg(256)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace epskew

BENCHMARK_MAIN();
