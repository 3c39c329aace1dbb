// Dispatch + combine of the CPU backend against the floor that this machine's memory and cores allow, in one
// run.
//
// Floor = bytes that must move / copy rate + tokens cast / cast rate, for combine the larger of bytes / copy
// rate and results reduced / reduce rate. All rates are medians, measured on all cores right before and right
// after each row of the table: the memory of a shared machine is not equally fast all the time.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "backends/cpu/shared_memory.hpp"
#include "epskew/backends/registry.hpp"
#include "epskew/exchange/oracle.hpp"
#include "epskew/support/error.hpp"
#include "epskew/workload/generate.hpp"
#include "exchange/kernels.hpp"

namespace epskew {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_of(const std::function<void()>& work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

/// Rates of all cores together.
struct Rates {
  double copy = 0;    ///< bytes read + written a second, non-temporal stores
  double cast = 0;    ///< tokens a second
  double reduce = 0;  ///< tokens a second, inputs in cache
};

Rates between(const Rates& a, const Rates& b) {
  return {(a.copy + b.copy) / 2, (a.cast + b.cast) / 2, (a.reduce + b.reduce) / 2};
}

/// What this machine can do at the moment, as a median like the times that are held against it.
class Machine {
 public:
  Machine(int threads, const ExchangeShape& shape) : threads_(threads), shape_(shape) {
    for (int i = 0; i < 2 * threads; ++i) {
      buffers_.emplace_back(bytes, cpu::Pages::large);
      std::memset(buffers_.back().data(), 1, bytes);
    }
  }

  Rates measure() {
    Rates rates;
    rates.copy = 2.0 * bytes * threads_ / seconds([this](std::size_t i) {
                   stream_copy(buffers_[2 * i].data(), buffers_[2 * i + 1].data(), bytes);
                   finish_streaming();
                 });
    rates.cast = tokens * threads_ / seconds([this](std::size_t i) { cast(i); });
    rates.reduce = tokens * threads_ / seconds([this](std::size_t i) { reduce(i); });
    return rates;
  }

 private:
  static constexpr std::size_t bytes = 64u << 20;
  static constexpr int tokens = 1000;

  /// Median of several runs of `work(thread)` on all cores at once.
  double seconds(const std::function<void(std::size_t)>& work) const {
    std::vector<double> runs;
    for (int repeat = 0; repeat < 7; ++repeat) {
      runs.push_back(seconds_of([&] {
        std::vector<std::thread> workers;
        for (int i = 0; i < threads_; ++i) workers.emplace_back(work, static_cast<std::size_t>(i));
        for (std::thread& worker : workers) worker.join();
      }));
    }
    return median(runs);
  }
  const BFloat16* values(std::size_t thread) const {
    return reinterpret_cast<const BFloat16*>(buffers_[2 * thread].data());
  }
  void cast(std::size_t thread) const {
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(shape_.hidden));
    std::vector<float> scales(static_cast<std::size_t>(shape_.num_scales()));
    for (int token = 0; token < tokens; ++token) {
      quantise_row(values(thread), shape_.hidden, false, codes.data(), scales.data());
    }
  }
  void reduce(std::size_t thread) const {
    const auto columns = static_cast<std::size_t>(shape_.hidden);
    std::vector<WeightedRow> rows;
    for (std::size_t k = 0; k < static_cast<std::size_t>(shape_.topk); ++k) {
      rows.push_back({values(thread) + k * columns, 0.5f});
    }
    std::vector<BFloat16> out(columns);
    for (int token = 0; token < tokens; ++token) reduce_rows(rows, shape_.hidden, out.data());
  }

  int threads_;
  ExchangeShape shape_;
  std::vector<cpu::SharedMemory> buffers_;
};

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

/// Mean time of a barrier of all ranks, slowest rank.
double barrier_us(const ExchangeShape& shape) {
  constexpr int barriers = 2000;
  const auto world = find_backend("cpu")->make_world(shape, ExchangeOptions{});
  const auto reports = world->run([](Exchange& exchange) {
    for (int i = 0; i < 100; ++i) exchange.align();
    return std::to_string(seconds_of([&] {
      for (int i = 0; i < barriers; ++i) exchange.align();
    }));
  });
  double slowest = 0;
  for (const std::string& report : reports) slowest = std::max(slowest, std::stod(report));
  return 1e6 * slowest / barriers;
}

RoutingTable make_routing(const ExchangeShape& shape, double factor) {
  WorkloadSpec spec;
  spec.num_experts = shape.num_experts;
  spec.topk = shape.topk;
  spec.tokens_per_rank.assign(static_cast<std::size_t>(shape.num_ranks), shape.max_tokens);
  if (factor > 0) spec.factor = factor;
  return generate(spec).table;
}

std::string name_of_routing(double factor) {
  return factor > 0 ? fmt::format("{:.1f}", factor) : "uniform";
}

/// One line of a table: an exchange, and what the machine could do around it.
struct Row {
  Times times;
  Rates rates;
  Floor floor;
  double floor_us() const { return floor.dispatch_us + floor.combine_us; }
};

Row measure_row(Machine& machine, const RoutingTable& table, const ExchangeShape& shape,
                const ExchangeOptions& options, int iterations) {
  const Rates before = machine.measure();
  Row row;
  row.times = measure(table, shape, options, iterations);
  row.rates = between(before, machine.measure());
  row.floor = floor_of(row.rates, table, shape, options.dispatch);
  return row;
}

void print_row(const std::string& what, const Row& row) {
  fmt::print("| {} | {:.0f} | {:.0f} | {:.0f} | {:.1f} | {:.0f} | {:.2f} |\n", what, row.times.dispatch_us,
             row.times.combine_us, row.times.pair_us, row.rates.copy / 1e9, row.floor_us(),
             row.times.pair_us / row.floor_us());
  std::fflush(stdout);
}

void print_header(const char* what) {
  fmt::print(
      "\n| {} | dispatch us | combine us | pair us | copy GB/s | floor us | pair / floor "
      "|\n|---|---|---|---|---|---|---|\n",
      what);
}

/// Default algorithms, every routing and format; and what factor 3 costs against 1.
void print_routings(Machine& machine, const ExchangeShape& shape, int iterations) {
  print_header("routing, format");
  for (const DispatchFormat format : {DispatchFormat::fp8, DispatchFormat::bf16}) {
    double balanced = 0;
    for (const double factor : {0.0, 1.0, 2.0, 3.0}) {
      ExchangeOptions options;
      options.dispatch = format;
      const Row row = measure_row(machine, make_routing(shape, factor), shape, options, iterations);
      if (factor == 1.0) balanced = row.times.pair_us;
      print_row(fmt::format("{}, {}", name_of_routing(factor), name_of(format)), row);
      if (factor == 3.0)
        fmt::print("| cost of imbalance at 3.0, {} | | | {:.3f} | | | |\n", name_of(format),
                   row.times.pair_us / balanced);
    }
  }
}

void print_variants(Machine& machine, const ExchangeShape& shape, int iterations) {
  print_header("variant (FP8 dispatch), routing");
  struct Choice {
    const char* dispatch;
    const char* combine;
    const char* output;
    const char* pages;
    CombineFormat format;
  };
  constexpr Choice choices[] = {{"direct", "pull", "in_place", "large", CombineFormat::bf16},
                                {"direct", "pull", "in_place", "small", CombineFormat::bf16},
                                {"direct", "pull", "copied", "large", CombineFormat::bf16},
                                {"dedup", "pull", "in_place", "large", CombineFormat::bf16},
                                {"rank_major", "pull", "in_place", "large", CombineFormat::bf16},
                                {"direct", "push", "in_place", "large", CombineFormat::bf16},
                                {"direct", "prereduce", "in_place", "large", CombineFormat::bf16},
                                {"rank_major", "prereduce", "in_place", "large", CombineFormat::bf16},
                                {"direct", "pull", "in_place", "large", CombineFormat::logfmt10}};
  for (const double factor : {0.0, 3.0}) {
    const RoutingTable table = make_routing(shape, factor);
    for (const Choice& choice : choices) {
      ExchangeOptions options;
      options.combine = choice.format;
      options.variants = {{"dispatch", choice.dispatch},
                          {"combine", choice.combine},
                          {"expert_output", choice.output},
                          {"pages", choice.pages}};
      print_row(fmt::format("{}, {}, {}, {} pages, {}; {}", choice.dispatch, choice.combine, choice.output,
                            choice.pages, name_of(choice.format), name_of_routing(factor)),
                measure_row(machine, table, shape, options, iterations));
    }
  }
}

/// Few bytes: what the waiting costs.
void print_small(Machine& machine, int iterations) {
  ExchangeShape shape;
  shape.max_tokens = 8;
  shape.hidden = 2048;
  const double barrier = barrier_us(shape);
  const Row row = measure_row(machine, make_routing(shape, 0), shape, ExchangeOptions{}, iterations);
  fmt::print(
      "\n8 ranks, 8 tokens, hidden 2048: pair {:.0f} us; byte floor {:.0f} us, barrier {:.1f} us; "
      "pair / (bytes + 4 barriers) = {:.2f}\n",
      row.times.pair_us, row.floor_us(), barrier, row.times.pair_us / (row.floor_us() + 4 * barrier));
}

}  // namespace
}  // namespace epskew

int main(int argc, char** argv) {
  using namespace epskew;
  const int iterations = argc > 1 ? std::atoi(argv[1]) : 50;
  const int threads = static_cast<int>(std::thread::hardware_concurrency());
  const ExchangeShape shape;
  Machine machine(threads, shape);
  const Rates rates = machine.measure();
  fmt::print(
      "{} cores, {}: copy {:.1f} GB/s read+write, cast {:.2f} us/token and reduce {:.2f} us/token on each "
      "core\n",
      threads, instruction_set(), rates.copy / 1e9, 1e6 * threads / rates.cast, 1e6 * threads / rates.reduce);
  fmt::print("{} iterations; slowest rank of each, median\n", iterations);
  print_routings(machine, shape, iterations);
  print_variants(machine, shape, iterations);
  print_small(machine, 5 * iterations);
}
