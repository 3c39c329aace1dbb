// docs/memory.md at the default shape.

#include <gtest/gtest.h>

#include <sstream>
#include <vector>

#include "conformance/tables.hpp"
#include "epskew/backends/registry.hpp"
#include "epskew/exchange/oracle.hpp"

namespace epskew::testing {
namespace {

std::vector<MemoryUse> memory_after_a_uniform_round(DispatchFormat format) {
  const RoutingTable table = make_table({std::vector<std::int32_t>(8, 128), 288, 8});
  const ExchangeShape shape = shape_of(table, 7168);
  ExchangeOptions options;
  options.dispatch = format;
  const auto world = find_backend("cpu")->make_world(shape, options);
  const auto reports = world->run([&](Exchange& exchange) {
    Oracle oracle(table, shape, options, OracleData::exact, 1);
    if (const auto mismatch = run_oracle(exchange, oracle)) return to_string(*mismatch);
    const MemoryUse use = exchange.memory(0);
    return std::to_string(use.reserved) + " " + std::to_string(use.touched);
  });
  std::vector<MemoryUse> uses;
  for (const std::string& report : reports) {
    MemoryUse use;
    std::istringstream(report) >> use.reserved >> use.touched;
    uses.push_back(use);
  }
  return uses;
}

TEST(CpuMemory, Fp8AtTheDefaultShape) {
  for (const MemoryUse& use : memory_after_a_uniform_round(DispatchFormat::fp8)) {
    EXPECT_GT(use.touched, 20'000'000);  // rows and results of a thousand selections were there
    EXPECT_LT(use.touched, 64'000'000);
    EXPECT_GT(use.reserved, 8192 * (7168 + 224 + 2 * 7168));
    EXPECT_LT(use.reserved, 190'000'000);
  }
}

TEST(CpuMemory, Bf16AtTheDefaultShape) {
  for (const MemoryUse& use : memory_after_a_uniform_round(DispatchFormat::bf16)) {
    EXPECT_GT(use.touched, 28'000'000);
    EXPECT_LT(use.touched, 64'000'000);
    EXPECT_LT(use.reserved, 250'000'000);
  }
}

}  // namespace
}  // namespace epskew::testing
