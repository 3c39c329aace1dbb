// The floor of one routing file on this machine at this moment, as one JSON object: for scripts that set
// several programs beside each other and beside the floor.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "epskew/exchange/shape.hpp"
#include "epskew/support/error.hpp"
#include "epskew/trace/routing_file.hpp"
#include "exchange_floor.hpp"

namespace epskew {
namespace {

nlohmann::json measure(const std::string& file, int hidden, const std::string& format_name) {
  const auto format = find_dispatch_format(format_name);
  if (!format) throw UsageError("--dispatch-format " + format_name + " is not known; use fp8 or bf16");
  const RoutingTable table = read_routing_file(file).table;
  const ExchangeShape shape{table.num_ranks(), table.num_experts, table.topk, hidden, table.max_tokens()};
  Machine machine(static_cast<int>(std::thread::hardware_concurrency()), shape);
  const Rates rates = machine.measure();
  const Floor floor = floor_of(rates, table, shape, *format);
  return {{"floor_us", floor.us},           {"by_direction_us", floor.by_direction_us},
          {"copy_bytes_s", rates.copy},     {"load_bytes_s", rates.load},
          {"store_bytes_s", rates.store},   {"cast_tokens_s", rates.cast},
          {"reduce_tokens_s", rates.reduce}};
}

}  // namespace
}  // namespace epskew

int main(int argc, char** argv) {
  CLI::App app{"Measures what dispatch + combine of a routing file takes at least on this machine"};
  std::string file, format = "fp8";
  int hidden = 7168;
  app.add_option("routing", file, "routing file of epskew gen")->required();
  app.add_option("--hidden", hidden)->check(CLI::PositiveNumber);
  app.add_option("--dispatch-format", format);
  CLI11_PARSE(app, argc, argv);
  try {
    std::printf("%s\n", epskew::measure(file, hidden, format).dump().c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "exchange_floor: %s\n", error.what());
    return 2;
  }
  return 0;
}
