// The shared-memory protocol under random delays, and far more ranks than cores.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "conformance/fresh.hpp"
#include "conformance/tables.hpp"
#include "epskew/backends/registry.hpp"
#include "epskew/exchange/oracle.hpp"

namespace epskew::testing {
namespace {

void expect_right(const TableSpec& spec, int hidden, const ExchangeOptions& options, int passes) {
  const RoutingTable table = make_table(spec);
  const ExchangeShape shape = shape_of(table, hidden);
  const auto world = find_backend("cpu")->make_world(shape, options);

  const auto reports = world->run([&](Exchange& exchange) {
    Oracle oracle(table, shape, options, OracleData::exact, 9);
    for (int pass = 0; pass < passes; ++pass) {
      if (const auto mismatch = run_oracle(exchange, oracle)) return to_string(*mismatch);
    }
    return std::string();
  });

  for (const std::string& report : reports) EXPECT_EQ(report, "");
}

class InjectedDelays : public ::testing::TestWithParam<int> {};

TEST_P(InjectedDelays, LeaveResultsRight) {
  ExchangeOptions options;
  options.micro_batches = GetParam();
  options.variants["inject_delay_us"] = "200";

  const FreshPlan plan;
  const auto world = find_backend("cpu")->make_world(shape_of(plan), options);

  const auto reports = world->run([&](Exchange& exchange) { return run_fresh_operations(exchange, plan); });

  for (const std::string& report : reports) EXPECT_EQ(report, "");
}

INSTANTIATE_TEST_SUITE_P(MicroBatches, InjectedDelays, ::testing::Values(1, 2, 3));

TEST(ManyRanks, SixtyFourProcesses) {
  expect_right({std::vector<std::int32_t>(64, 3), 128, 8}, 128, ExchangeOptions{}, 2);
}

TEST(ManyRanks, FourThousandExpertsTopSixteen) {
  expect_right({std::vector<std::int32_t>(16, 4), 4096, 16}, 128, ExchangeOptions{}, 2);
}

}  // namespace
}  // namespace epskew::testing
