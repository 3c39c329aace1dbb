// What ranks pay for waiting on each other: a flag there and back between two of them, and a barrier of many.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>

#include "epskew/backends/registry.hpp"

namespace epskew {
namespace {

using Clock = std::chrono::steady_clock;

/// `barriers` of `ranks` processes; the slowest rank's seconds.
double seconds_of_barriers(int ranks, int barriers) {
  ExchangeShape shape;
  shape.num_ranks = ranks;
  shape.num_experts = ranks;
  shape.topk = 1;
  shape.hidden = 128;
  shape.max_tokens = 1;
  const auto world = find_backend("cpu")->make_world(shape, ExchangeOptions{});
  const auto reports = world->run([&](Exchange& exchange) {
    exchange.align();
    const auto start = Clock::now();
    for (int i = 0; i < barriers; ++i) exchange.align();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    return std::string(reinterpret_cast<const char*>(&seconds), sizeof seconds);
  });
  double slowest = 0;
  for (const std::string& report : reports) {
    double seconds = 0;
    std::memcpy(&seconds, report.data(), sizeof seconds);
    slowest = std::max(slowest, seconds);
  }
  return slowest;
}

void barrier(benchmark::State& state) {
  constexpr int barriers = 1000;
  for (auto _ : state) {
    state.SetIterationTime(seconds_of_barriers(static_cast<int>(state.range(0)), barriers) / barriers);
  }
}

// With two ranks a barrier is one flag each way.
BENCHMARK(barrier)
    ->ArgName("ranks")
    ->Arg(2)
    ->Arg(4)
    ->Arg(8)
    ->Arg(16)
    ->Arg(64)
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond)
    ->Iterations(10);

}  // namespace
}  // namespace epskew

BENCHMARK_MAIN();
