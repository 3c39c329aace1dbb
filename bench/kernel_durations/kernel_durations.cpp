// Durations of the CUDA exchange's kernels on routing files of `epskew gen`, by the CUDA profiler, for
// comparison with other libraries on the same routing (bench/peers/deepep/compare_h200.py).
//   epskew_kernel_durations [--iterations N] [--hidden H] [--no-flush] [--variant NAME=VALUE]... --json FILE
//   ROUTING...
// Every file is run split (lockstep: each rank's kernels have the GPU to themselves) and fused (all ranks in
// one launch). A 256 MB buffer is zeroed before dispatch and before combine, unless --no-flush. No stamps, no
// graph.

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "epskew/backends/registry.hpp"
#include "epskew/exchange/oracle.hpp"
#include "epskew/routing/load.hpp"
#include "epskew/support/error.hpp"
#include "epskew/support/output_file.hpp"
#include "epskew/trace/routing_file.hpp"
#include "kernel_durations/profiler.hpp"
#include "origin.hpp"

namespace {

using namespace epskew;
using nlohmann::ordered_json;

constexpr std::size_t flush_bytes = 256u << 20;
constexpr int warmup = 3;

struct Flags {
  std::vector<std::string> files;
  std::vector<std::string> variants;
  std::string json;
  int iterations = 30;
  int hidden = 7168;
  bool no_flush = false;
};

struct Shape {
  RoutingTable table;
  ExchangeShape exchange;
};

void check(cudaError_t error, const char* call) {
  if (error != cudaSuccess)
    throw EnvironmentError(fmt::format("{} failed: {}", call, cudaGetErrorString(error)));
}

class Flush {
 public:
  explicit Flush(bool wanted) {
    if (wanted) check(cudaMalloc(&memory_, flush_bytes), "cudaMalloc");
  }
  Flush(const Flush&) = delete;
  Flush& operator=(const Flush&) = delete;
  ~Flush() { cudaFree(memory_); }
  void run() const {
    if (memory_ != nullptr) check(cudaMemset(memory_, 0, flush_bytes), "cudaMemset");
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  }

 private:
  void* memory_ = nullptr;
};

/// One operation; the buffer is zeroed before each half.
void run_once(Exchange& exchange, const Flush& flush, bool fused) {
  flush.run();
  if (fused) {
    exchange.dispatch(0);
    flush.run();
    exchange.combine(0);
    return;
  }
  exchange.dispatch_send(0);
  exchange.dispatch_recv(0);
  flush.run();
  exchange.combine_send(0);
  exchange.combine_recv(0);
}

/// [iterations][kernels of one operation], in order of start.
ordered_json durations(const Flags& flags, const Shape& shape, const ExchangeOptions& options, bool fused) {
  ordered_json rows = ordered_json::array();
  find_backend("cuda")->make_world(shape.exchange, options)->run([&](Exchange& exchange) {
    const Flush flush(!flags.no_flush);
    Oracle oracle(shape.table, shape.exchange, options, OracleData::random, 1);
    if (const auto mismatch = run_oracle(exchange, oracle)) throw WrongResult(to_string(*mismatch));
    for (int i = 0; i < warmup; ++i) run_once(exchange, flush, fused);
    start_profiling();
    for (int i = 0; i < flags.iterations; ++i) run_once(exchange, flush, fused);
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    std::vector<double> times;
    for (const ProfiledKernel& kernel : stop_profiling()) {
      if (kernel.name.find("dispatch_kernel") != std::string::npos ||
          kernel.name.find("combine_kernel") != std::string::npos)
        times.push_back(kernel.us);
    }
    // Of each rank: counts, rows, arrival, sending back, reducing.
    const auto each = static_cast<std::size_t>(fused ? 2 : 5 * shape.exchange.num_ranks);
    const auto expected = each * static_cast<std::size_t>(flags.iterations);
    if (times.size() != expected)
      throw EnvironmentError(fmt::format("the profiler saw {} kernels where {} ran", times.size(), expected));
    for (auto row = times.begin(); row != times.end(); row += static_cast<std::ptrdiff_t>(each))
      rows.push_back(std::vector<double>(row, row + static_cast<std::ptrdiff_t>(each)));
    return std::string();
  });
  return rows;
}

ExchangeOptions options_of(const Flags& flags, const char* driver) {
  ExchangeOptions options;
  for (const std::string& variant : flags.variants) {
    const auto equals = variant.find('=');
    if (equals == std::string::npos)
      throw UsageError(fmt::format("--variant {} is not understood (it has no name=value)", variant));
    options.variants[variant.substr(0, equals)] = variant.substr(equals + 1);
  }
  options.variants["driver"] = driver;
  return options;
}

ordered_json run_file(const Flags& flags, const std::string& file) {
  const RoutingFile routing = read_routing_file(file);
  const RoutingTable& table = routing.table;
  const Shape shape{table,
                    {table.num_ranks(), table.num_experts, table.topk, flags.hidden, table.max_tokens()}};
  return {{"routing", file.substr(file.rfind('/') + 1)},
          {"digest", routing.digest},
          {"num_ranks", table.num_ranks()},
          {"tokens_per_rank", table.max_tokens()},
          {"topk", table.topk},
          {"num_experts", table.num_experts},
          {"hidden", flags.hidden},
          {"rank_loads", count_load(table).rank.loads},
          {"split_us", durations(flags, shape, options_of(flags, "lockstep"), false)},
          {"fused_us", durations(flags, shape, options_of(flags, "fused"), true)}};
}

void run(const Flags& flags) {
  const OutputFile output("--json", flags.json);
  if (const auto why = find_backend("cuda")->unusable()) throw UsageError(*why);
  ordered_json cases = ordered_json::array();
  for (const std::string& file : flags.files) {
    cases.push_back(run_file(flags, file));
    fmt::print(stderr, "{}\n", file);
  }
  const ordered_json result = {
      {"what",
       "kernel durations by the CUDA profiler (CUPTI), microseconds; split_us [iteration][phase of "
       "counts, dispatch_send, dispatch_recv, combine_send, combine_recv][rank], flattened; "
       "fused_us [iteration][dispatch, combine], all ranks in one launch"},
      {"origin", bench::origin()},
      {"facts", find_backend("cuda")->facts()},
      {"flushed", !flags.no_flush},
      {"variants", flags.variants},
      {"cases", cases}};
  output.write(result.dump() + "\n");
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Durations of the CUDA exchange's kernels on routing files, by the CUDA profiler");
  app.add_option("routing", flags.files, "files written by epskew gen")->required();
  app.add_option("--variant", flags.variants, "an option of the backend, name=value; may be repeated");
  app.add_option("--json", flags.json, "result")->required();
  app.add_option("--iterations", flags.iterations, "profiled")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  app.add_flag("--no-flush", flags.no_flush, "leave L2 as the half before left it");
  app.add_option("--hidden", flags.hidden, "hidden size")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    run(flags);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
  return 0;
}
