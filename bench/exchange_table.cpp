// Dispatch + combine of the CPU backend against the floor that this machine's memory and cores allow, in one
// run.
//
// Floor = bytes that must move / copy rate + tokens cast / cast rate, for combine the larger of bytes / copy
// rate and results reduced / reduce rate. All rates are measured here, with as many threads as cores work.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "backends/cpu/kernels.hpp"
#include "backends/cpu/shared_memory.hpp"
#include "epskew/backends/registry.hpp"
#include "epskew/exchange/oracle.hpp"
#include "epskew/support/error.hpp"
#include "epskew/workload/generate.hpp"

namespace epskew {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_of(const std::function<void()>& work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Best of several runs of `work(thread)` on all cores at once.
double best_seconds(int threads, const std::function<void(int)>& work) {
  double best = 1e9;
  for (int repeat = 0; repeat < 7; ++repeat) {
    best = std::min(best, seconds_of([&] {
                      std::vector<std::thread> workers;
                      for (int i = 0; i < threads; ++i) workers.emplace_back(work, i);
                      for (std::thread& worker : workers) worker.join();
                    }));
  }
  return best;
}

/// Rates of all cores together.
struct Rates {
  double copy = 0;    ///< bytes read + written a second, non-temporal stores
  double cast = 0;    ///< tokens a second
  double reduce = 0;  ///< tokens a second, inputs in cache
};

Rates measure_rates(int threads, int hidden, int topk) {
  constexpr std::size_t bytes = 64u << 20;
  Rates rates;
  std::vector<cpu::SharedMemory> buffers;
  for (int i = 0; i < 2 * threads; ++i) {
    buffers.emplace_back(bytes);
    std::memset(buffers.back().data(), 1, bytes);
  }
  rates.copy = 2.0 * bytes * threads / best_seconds(threads, [&](int i) {
                 const auto index = static_cast<std::size_t>(i);
                 cpu::stream_copy(buffers[2 * index].data(), buffers[2 * index + 1].data(), bytes);
                 cpu::finish_streaming();
               });
  constexpr int tokens = 2000;
  const auto columns = static_cast<std::size_t>(hidden);
  rates.cast = tokens * threads / best_seconds(threads, [&](int i) {
                 const auto* x =
                     reinterpret_cast<const BFloat16*>(buffers[static_cast<std::size_t>(2 * i)].data());
                 std::vector<std::uint8_t> codes(columns);
                 std::vector<float> scales(columns / scale_group);
                 for (int token = 0; token < tokens; ++token) {
                   cpu::quantise_row(x, hidden, false, codes.data(), scales.data());
                 }
               });
  rates.reduce = tokens * threads / best_seconds(threads, [&](int i) {
                   const auto* x =
                       reinterpret_cast<const BFloat16*>(buffers[static_cast<std::size_t>(2 * i)].data());
                   std::vector<cpu::WeightedRow> rows;
                   for (int k = 0; k < topk; ++k)
                     rows.push_back({x + static_cast<std::size_t>(k) * columns, 0.5f});
                   std::vector<BFloat16> out(columns);
                   for (int token = 0; token < tokens; ++token) cpu::reduce_rows(rows, hidden, out.data());
                 });
  return rates;
}

struct Floor {
  double dispatch_us = 0;
  double combine_us = 0;
};

Floor floor_of(const Rates& rates, const RoutingTable& table, const ExchangeShape& shape,
               DispatchFormat format) {
  const auto tokens = static_cast<double>(table.num_tokens());
  const auto selections = static_cast<double>(std::count_if(table.topk_idx.begin(), table.topk_idx.end(),
                                                            [](std::int32_t expert) { return expert >= 0; }));
  const double token_bytes = 2.0 * shape.hidden;
  const double row =
      static_cast<double>(row_bytes(format, shape.hidden)) + (is_fp8(format) ? 4.0 * shape.num_scales() : 0);
  Floor floor;
  floor.dispatch_us = 1e6 * (tokens * token_bytes + selections * row) / rates.copy;
  if (is_fp8(format)) floor.dispatch_us += 1e6 * tokens / rates.cast;
  const double moved = (selections + tokens) * token_bytes / rates.copy;
  const double reduced = selections / shape.topk / rates.reduce;
  floor.combine_us = 1e6 * std::max(moved, reduced);
  return floor;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

/// Slowest rank per iteration, then the median, for the pair and for both halves.
struct Times {
  double pair_us = 0;
  double dispatch_us = 0;
  double combine_us = 0;
};

Times measure(const RoutingTable& table, const ExchangeShape& shape, const ExchangeOptions& options,
              int iterations) {
  const auto world = find_backend("cpu")->make_world(shape, options);
  const auto reports = world->run([&](Exchange& exchange) {
    Oracle oracle(table, shape, options, OracleData::exact, 1);
    if (const auto mismatch = run_oracle(exchange, oracle)) throw WrongResult(to_string(*mismatch));
    std::string report;
    for (const TimingMode mode : {TimingMode::pair, TimingMode::fused}) {
      for (int i = -5; i < iterations; ++i) {
        IterationSample sample;
        exchange.measure(mode, {&sample, 1});
        if (i >= 0) report.append(reinterpret_cast<const char*>(sample.us.data()), sizeof sample.us);
      }
    }
    return report;
  });
  const auto slowest = [&](Phase phase, int first) {
    std::vector<double> values;
    for (int i = first; i < first + iterations; ++i) {
      double worst = 0;
      for (const std::string& report : reports) {
        std::array<double, num_phases> us;
        std::memcpy(us.data(), report.data() + static_cast<std::size_t>(i) * sizeof us, sizeof us);
        worst = std::max(worst, us[static_cast<std::size_t>(phase)]);
      }
      values.push_back(worst);
    }
    return median(values);
  };
  return {slowest(Phase::dispatch_combine, 0), slowest(Phase::dispatch, iterations),
          slowest(Phase::combine, iterations)};
}

}  // namespace
}  // namespace epskew

int main(int argc, char** argv) {
  using namespace epskew;
  const int iterations = argc > 1 ? std::atoi(argv[1]) : 50;
  const int threads = static_cast<int>(std::thread::hardware_concurrency());
  const ExchangeShape shape;
  const Rates rates = measure_rates(threads, shape.hidden, shape.topk);
  fmt::print(
      "{} cores: copy {:.1f} GB/s read+write, cast {:.2f} us/token, reduce {:.2f} us/token (per core)\n",
      threads, rates.copy / 1e9, 1e6 * threads / rates.cast, 1e6 * threads / rates.reduce);
  fmt::print("{:<10} {:<6} {:>10} {:>10} {:>10} {:>10} {:>7}\n", "routing", "format", "dispatch", "combine",
             "pair", "floor", "ratio");
  for (const double factor : {0.0, 1.0, 3.0}) {
    WorkloadSpec spec;
    if (factor > 0) spec.factor = factor;
    const RoutingTable table = generate(spec).table;
    for (const DispatchFormat format : {DispatchFormat::fp8, DispatchFormat::bf16}) {
      ExchangeOptions options;
      options.dispatch = format;
      const Floor floor = floor_of(rates, table, shape, format);
      const Times times = measure(table, shape, options, iterations);
      const double total = floor.dispatch_us + floor.combine_us;
      fmt::print("{:<10} {:<6} {:>10.0f} {:>10.0f} {:>10.0f} {:>10.0f} {:>7.2f}\n",
                 factor > 0 ? fmt::format("{:.1f}", factor) : "uniform", name_of(format), times.dispatch_us,
                 times.combine_us, times.pair_us, total, times.pair_us / total);
    }
  }
}
