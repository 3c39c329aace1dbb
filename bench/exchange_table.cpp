// Dispatch + combine of the CPU backend against the floor that this machine's memory and cores allow, in one
// run.
//
// Floor = bytes that must move / copy rate + tokens cast / cast rate, for combine the larger of bytes / copy
// rate and results reduced / reduce rate. Tight floor = the same, but no phase below bytes written / store
// rate nor below bytes read / load rate: where stores alone run no faster than the stores of a copy, moving
// bytes that are nearly all written takes longer than the first floor says. The memory of a shared machine is
// not equally fast all the time: the iterations of a row come in blocks, all rates are measured on all cores
// before and after each block, and ratios are medians over blocks.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <thread>
#include <vector>

#include "epskew/backends/registry.hpp"
#include "epskew/exchange/oracle.hpp"
#include "epskew/support/error.hpp"
#include "epskew/workload/generate.hpp"
#include "exchange/kernels.hpp"
#include "exchange_floor.hpp"

namespace epskew {
namespace {

/// Slowest rank per iteration, then the median, for the pair and for both halves.
struct Times {
  double pair_us = 0;
  double dispatch_us = 0;
  double combine_us = 0;
};

/// One block of iterations, with the oracle before it.
Times measure(World& world, const RoutingTable& table, const ExchangeOptions& options, int iterations) {
  const auto reports = world.run([&](Exchange& exchange) {
    Oracle oracle(table, exchange.shape(), options, OracleData::exact, 1);
    if (const auto mismatch = run_oracle(exchange, oracle)) throw WrongResult(to_string(*mismatch));
    std::string report;
    for (const TimingMode mode : {TimingMode::pair, TimingMode::fused}) {
      for (int i = -3; i < iterations; ++i) {
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

/// An exchange for a few iterations, and what the machine could do around them.
struct Block {
  Times times;
  Rates rates;
  Floor floor;
};

/// One line of a table.
using Row = std::vector<Block>;

template <class Value>
double median_of(const Row& row, Value&& value) {
  std::vector<double> values;
  for (const Block& block : row) values.push_back(value(block));
  return median(values);
}

double pair_us(const Row& row) {
  return median_of(row, [](const Block& block) { return block.times.pair_us; });
}

double over_floor(const Row& row) {
  return median_of(row, [](const Block& block) { return block.times.pair_us / block.floor.us; });
}

Row measure_row(Machine& machine, const RoutingTable& table, const ExchangeShape& shape,
                const ExchangeOptions& options, int iterations) {
  constexpr int blocks = 5;
  const auto world = find_backend("cpu")->make_world(shape, options);
  Row row;
  Rates before = machine.measure();
  for (int i = 0; i < blocks; ++i) {
    Block block;
    block.times = measure(*world, table, options, std::max(3, iterations / blocks));
    const Rates after = machine.measure();
    block.rates = between(before, after);
    block.floor = floor_of(block.rates, table, shape, options.dispatch);
    row.push_back(block);
    before = after;
  }
  return row;
}

void print_row(const std::string& what, const Row& row) {
  const auto ratio = [](const Block& block) { return block.times.pair_us / block.floor.us; };
  const auto [least, most] = std::minmax_element(
      row.begin(), row.end(), [&](const Block& a, const Block& b) { return ratio(a) < ratio(b); });
  const auto value = [&](auto member) { return median_of(row, member); };
  fmt::print(
      "| {} | {:.0f} | {:.0f} | {:.0f} | {:.1f} | {:.1f} | {:.1f} | {:.0f} | {:.2f} ({:.2f} to {:.2f}) | "
      "{:.0f} "
      "| {:.2f} |\n",
      what, value([](const Block& block) { return block.times.dispatch_us; }),
      value([](const Block& block) { return block.times.combine_us; }), pair_us(row),
      value([](const Block& block) { return block.rates.copy / 1e9; }),
      value([](const Block& block) { return block.rates.load / 1e9; }),
      value([](const Block& block) { return block.rates.store / 1e9; }),
      value([](const Block& block) { return block.floor.us; }), value(ratio), ratio(*least), ratio(*most),
      value([](const Block& block) { return block.floor.by_direction_us; }),
      value([](const Block& block) { return block.times.pair_us / block.floor.by_direction_us; }));
  std::fflush(stdout);
}

void print_header(const char* what) {
  fmt::print(
      "\n| {} | dispatch us | combine us | pair us | copy GB/s | load GB/s | store GB/s | floor us | pair / "
      "floor "
      "(blocks) | floor by direction us | pair / that |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
      what);
}

/// Default algorithms, every routing and format; and what factor 3 costs against 1.
void print_routings(Machine& machine, const ExchangeShape& shape, int iterations) {
  print_header("routing, format");
  for (const DispatchFormat format : {DispatchFormat::fp8, DispatchFormat::bf16}) {
    double balanced = 0;  // over its floor: rows lie seconds apart, and the memory's speed changes in between
    for (const double factor : {0.0, 1.0, 2.0, 3.0}) {
      ExchangeOptions options;
      options.dispatch = format;
      const Row row = measure_row(machine, make_routing(shape, factor), shape, options, iterations);
      if (factor == 1.0) balanced = over_floor(row);
      print_row(fmt::format("{}, {}", name_of_routing(factor), name_of(format)), row);
      if (factor >= 2.0)
        fmt::print("| ratio to 1.0, both over their floors: {}, {} | | | | | | | | {:.2f} | | |\n",
                   name_of_routing(factor), name_of(format), over_floor(row) / balanced);
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
void print_small(int threads, int iterations) {
  ExchangeShape shape;
  shape.max_tokens = 8;
  shape.hidden = 2048;
  Machine machine(threads, shape);  // the rates of cast and reduction are by tokens of this size
  const double barrier = barrier_us(shape);
  const Row row = measure_row(machine, make_routing(shape, 0), shape, ExchangeOptions{}, iterations);
  const double floor = median_of(row, [](const Block& block) { return block.floor.us; });
  fmt::print(
      "\n8 ranks, 8 tokens, hidden 2048: pair {:.0f} us; byte floor {:.0f} us, barrier {:.1f} us; "
      "pair / (bytes + 4 barriers) = {:.2f}\n",
      pair_us(row), floor, barrier, pair_us(row) / (floor + 4 * barrier));
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
      "{} cores, {}: copy {:.1f} GB/s read+write, load {:.1f}, store {:.1f}; cast {:.2f} us/token and reduce "
      "{:.2f} us/token on each core\n",
      threads, instruction_set(), rates.copy / 1e9, rates.load / 1e9, rates.store / 1e9,
      1e6 * threads / rates.cast, 1e6 * threads / rates.reduce);
  fmt::print(
      "{} iterations in 5 blocks; slowest rank of each iteration, median of a block, median of blocks\n",
      iterations);
  print_routings(machine, shape, iterations);
  print_variants(machine, shape, iterations);
  print_small(threads, 5 * iterations);
}
