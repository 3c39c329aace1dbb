// How long and how much memory generating a routing takes.

#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include "epskew/routing/digest.hpp"
#include "epskew/routing/load.hpp"
#include "epskew/workload/generate.hpp"

namespace epskew {
namespace {

WorkloadSpec spec_of(int ranks, int tokens, int experts, double factor) {
  WorkloadSpec spec;
  spec.num_experts = experts;
  spec.tokens_per_rank.assign(static_cast<std::size_t>(ranks), tokens);
  spec.factor = factor;
  spec.num_masked = 10;
  return spec;
}

double peak_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024.0;
}

const double bytes_at_start = peak_bytes();

/// Arguments: ranks, tokens a rank, experts, 100 * factor. peak_over_result: growth of the process's peak
/// resident memory since its start over the size of the result; it is meaningful for the largest shape of a
/// run.
void generate_exact(benchmark::State& state) {
  WorkloadSpec spec = spec_of(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)),
                              static_cast<int>(state.range(2)), static_cast<double>(state.range(3)) / 100.0);
  double result = 0.0;
  for (auto _ : state) {
    const Workload workload = generate(spec);
    result = static_cast<double>(workload.table.topk_idx.size()) * 8.0;
    benchmark::DoNotOptimize(workload.table.topk_idx.data());
    ++spec.seed;
  }
  state.counters["peak_over_result"] = (peak_bytes() - bytes_at_start) / result;
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(result / 8.0));
}
BENCHMARK(generate_exact)
    ->ArgNames({"ranks", "tokens", "experts", "factor%"})
    ->Args({8, 128, 288, 300})
    ->Args({1024, 128, 1024, 300})
    ->Args({64, 16384, 256, 300})
    ->Unit(benchmark::kMillisecond);

void generate_uniform(benchmark::State& state) {
  WorkloadSpec spec = spec_of(8, 128, 288, 1.0);
  spec.factor.reset();
  for (auto _ : state) {
    const Workload workload = generate(spec);
    benchmark::DoNotOptimize(workload.table.topk_idx.data());
    ++spec.seed;
  }
}
BENCHMARK(generate_uniform)->Unit(benchmark::kMillisecond);

void count_and_digest(benchmark::State& state) {
  const Workload workload = generate(spec_of(64, 16384, 256, 3.0));
  for (auto _ : state) {
    benchmark::DoNotOptimize(count_load(workload.table).rank.max);
    benchmark::DoNotOptimize(digest(workload.table));
  }
}
BENCHMARK(count_and_digest)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace epskew

BENCHMARK_MAIN();
