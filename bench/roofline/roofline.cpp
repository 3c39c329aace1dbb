// The floors of a GPU exchange and how far our own kernels are from them.
//   epskew_roofline [--json FILE]
// Every row: time, the bytes it must move or the latency it must pay, and the ratio to that floor.

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "epskew/backends/registry.hpp"
#include "epskew/exchange/oracle.hpp"
#include "epskew/support/random.hpp"
#include "origin.hpp"
#include "roofline/floors.hpp"

namespace {

using namespace epskew;
using nlohmann::ordered_json;

constexpr int tokens = 128;
constexpr int hidden = 7168;
constexpr int topk = 8;
constexpr int experts = 256;
constexpr int iterations = 60;

/// Every token draws its experts at random, hot rank or not.
RoutingTable uniform_table(int ranks) {
  RoutingTable table;
  table.num_experts = experts;
  table.topk = topk;
  table.tokens_per_rank.assign(static_cast<std::size_t>(ranks), tokens);
  std::vector<std::int32_t> all(experts);
  for (int i = 0; i < ranks * tokens; ++i) {
    RandomStream random(7, static_cast<std::uint64_t>(i));
    std::iota(all.begin(), all.end(), 0);
    shuffle(all, random);
    table.topk_idx.insert(table.topk_idx.end(), all.begin(), all.begin() + topk);
  }
  table.topk_weights.assign(table.topk_idx.size(), 1.0f);
  return table;
}

struct Row {
  std::string name;
  double us = 0;
  double floor_us = 0;
  std::string floor;
};

/// Median over iterations of the slowest rank's time of each phase of `mode`.
std::vector<double> measure(int ranks, TimingMode mode) {
  const RoutingTable table = uniform_table(ranks);
  const ExchangeShape shape{ranks, experts, topk, hidden, tokens};
  const ExchangeOptions options;
  std::vector<double> medians;
  find_backend("cuda")->make_world(shape, options)->run([&](Exchange& exchange) {
    Oracle oracle(table, shape, options, OracleData::exact, 1);
    if (const auto mismatch = run_oracle(exchange, oracle)) throw std::runtime_error(to_string(*mismatch));
    std::vector<std::vector<double>> slowest(phases_of(mode).size());
    std::vector<IterationSample> samples(static_cast<std::size_t>(ranks));
    for (int i = 0; i < iterations; ++i) {
      exchange.measure(mode, samples);
      for (std::size_t p = 0; p < slowest.size(); ++p) {
        double most = 0;
        for (const IterationSample& s : samples)
          most = std::max(most, s.us[static_cast<std::size_t>(phases_of(mode)[p])]);
        slowest[p].push_back(most);
      }
    }
    for (auto& values : slowest) {
      std::sort(values.begin(), values.end());
      medians.push_back(values[values.size() / 2]);
    }
    return std::string();
  });
  return medians;
}

std::vector<Row> rows_of_our_kernels(const roofline::Floors& floors) {
  const double token_mb = tokens * hidden * 2 / 1e6;
  const double fp8_rows_mb = tokens * topk * (hidden + hidden / 32.0) / 1e6;
  const double bf16_rows_mb = tokens * topk * hidden * 2 / 1e6;
  const double dispatch_us = (token_mb + fp8_rows_mb) / floors.hbm_copy_tbps;
  const double combine_us = (token_mb + bf16_rows_mb) / floors.hbm_copy_tbps;
  std::vector<Row> rows;
  for (const int ranks : {1, 8}) {
    const auto fused = measure(ranks, TimingMode::fused);
    const auto name = [&](const char* what) {
      return fmt::format("{} rank{} {}", ranks, ranks > 1 ? "s" : "", what);
    };
    rows.push_back({name("fused dispatch"), fused[0], ranks * dispatch_us, "bytes / HBM copy rate"});
    rows.push_back({name("fused combine"), fused[1], ranks * combine_us, "bytes / HBM copy rate"});
  }
  const auto split = measure(8, TimingMode::split);
  rows.push_back({"8 ranks lockstep dispatch_send", split[0], floors.small_write_us, "store 7.6 MB, cold"});
  rows.push_back({"8 ranks lockstep dispatch_recv", split[1], floors.flag_round_us[1], "one flag round"});
  rows.push_back({"8 ranks lockstep combine_send", split[2], floors.flag_round_us[1], "one flag round"});
  rows.push_back({"8 ranks lockstep combine_recv", split[3], floors.small_read_us, "load 14.7 MB, cold"});
  return rows;
}

ordered_json to_json(const roofline::Floors& f) {
  return {{"hbm_copy_tbps", f.hbm_copy_tbps},
          {"hbm_read_tbps", f.hbm_read_tbps},
          {"hbm_write_tbps", f.hbm_write_tbps},
          {"l2_copy_tbps", f.l2_copy_tbps},
          {"l2_write_tbps", f.l2_write_tbps},
          {"read_14.7MB_us", f.small_read_us},
          {"write_7.6MB_us", f.small_write_us},
          {"cast_128x7168_us", f.cast_us},
          {"flag_round_2_8_16_ranks_us", f.flag_round_us},
          {"empty_kernel_between_events_us", f.launch_us},
          {"each_further_empty_kernel_us", f.launch_next_us}};
}

int run(const char* json_file) {
  const Backend& backend = *find_backend("cuda");
  if (const auto why = backend.unusable()) {
    fmt::print(stderr, "epskew_roofline: {}\n", *why);
    return 2;
  }
  const roofline::Floors floors = roofline::measure_floors();
  const std::vector<Row> rows = rows_of_our_kernels(floors);
  ordered_json out = {{"origin", bench::origin()},
                      {"device", backend.facts()},
                      {"floors", to_json(floors)},
                      {"rows", ordered_json::array()}};
  fmt::print("{}\n", to_json(floors).dump(2));
  fmt::print("{:<34} {:>8} {:>8} {:>6}  {}\n", "kernel (time inside the kernel)", "us", "floor", "ratio",
             "floor is");
  for (const Row& row : rows) {
    fmt::print("{:<34} {:8.2f} {:8.2f} {:6.2f}  {}\n", row.name, row.us, row.floor_us, row.us / row.floor_us,
               row.floor);
    out["rows"].push_back({{"name", row.name},
                           {"us", row.us},
                           {"floor_us", row.floor_us},
                           {"ratio", row.us / row.floor_us},
                           {"floor", row.floor}});
  }
  if (json_file != nullptr) std::ofstream(json_file) << out.dump(2) << '\n';
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 1 && !(argc == 3 && std::strcmp(argv[1], "--json") == 0)) {
    fmt::print(stderr, "usage: epskew_roofline [--json FILE]\n");
    return 2;
  }
  try {
    return run(argc == 3 ? argv[2] : nullptr);
  } catch (const std::exception& error) {
    fmt::print(stderr, "epskew_roofline: {}\n", error.what());
    return 1;
  }
}
