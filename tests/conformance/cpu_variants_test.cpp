// Every way in which the CPU backend can work, against the oracle and against the reference.

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <tuple>
#include <vector>

#include "conformance/combined_bits.hpp"
#include "conformance/fresh.hpp"
#include "conformance/tables.hpp"
#include "epskew/backends/registry.hpp"
#include "epskew/exchange/oracle.hpp"
#include "epskew/support/error.hpp"

namespace epskew::testing {
namespace {

const TableSpec uneven{std::vector<std::int32_t>{9, 0, 4, 17}, 16, 6, Destinations::uniform, 20, 3, 4};
const TableSpec skewed{std::vector<std::int32_t>{8, 8, 8}, 24, 8, Destinations::all_to_one, 5, 0, 5};

std::vector<std::string> run_oracle_on(const TableSpec& spec, const ExchangeOptions& options,
                                       OracleData data) {
  const RoutingTable table = make_table(spec);
  const ExchangeShape shape = shape_of(table, 384);
  return find_backend("cpu")->make_world(shape, options)->run([&](Exchange& exchange) {
    Oracle oracle(table, shape, options, data, 21);
    for (int pass = 0; pass < 2; ++pass) {
      if (const auto mismatch = run_oracle(exchange, oracle)) return to_string(*mismatch);
    }
    return std::string();
  });
}

using Variant = std::tuple<std::string, std::string, std::string, DispatchFormat>;
class Variants : public ::testing::TestWithParam<Variant> {
 protected:
  static ExchangeOptions options() {
    const auto& [dispatch, combine, output, format] = GetParam();
    ExchangeOptions options;
    options.dispatch = format;
    options.micro_batches = 2;
    options.variants = {{"dispatch", dispatch}, {"combine", combine}, {"expert_output", output}};
    return options;
  }
};

TEST_P(Variants, AreRight) {
  for (const TableSpec& spec : {uneven, skewed}) {
    for (const OracleData data : {OracleData::exact, OracleData::random}) {
      for (const std::string& report : run_oracle_on(spec, options(), data)) EXPECT_EQ(report, "");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Variants,
                         ::testing::Combine(::testing::Values("direct", "dedup", "rank_major"),
                                            ::testing::Values("pull", "push", "prereduce"),
                                            ::testing::Values("in_place", "copied"),
                                            ::testing::Values(DispatchFormat::bf16, DispatchFormat::fp8,
                                                              DispatchFormat::fp8_ue8m0)),
                         [](const auto& test) {
                           return std::get<0>(test.param) + "_" + std::get<1>(test.param) + "_" +
                                  std::get<2>(test.param) + "_" +
                                  std::string(name_of(std::get<3>(test.param)));
                         });

/// dispatch, combine ("logfmt": the format, pulled), expert_output, micro-batches
using Moving = std::tuple<std::string, std::string, std::string, int>;
class FreshOperations : public ::testing::TestWithParam<Moving> {};

TEST_P(FreshOperations, AreRightWithAndWithoutDelays) {
  const auto& [dispatch, combine, output, micro_batches] = GetParam();
  for (const char* delay_us : {"0", "100"}) {
    ExchangeOptions options;
    options.micro_batches = micro_batches;
    options.variants = {{"dispatch", dispatch}, {"expert_output", output}, {"inject_delay_us", delay_us}};
    if (combine == "logfmt") {
      options.combine = CombineFormat::logfmt10;
    } else {
      options.variants["combine"] = combine;
    }
    FreshPlan plan;
    plan.operations = 8;
    const auto world = find_backend("cpu")->make_world(shape_of(plan), options);

    const auto reports = world->run([&](Exchange& exchange) { return run_fresh_operations(exchange, plan); });

    for (const std::string& report : reports) EXPECT_EQ(report, "") << "delay " << delay_us;
  }
}

INSTANTIATE_TEST_SUITE_P(All, FreshOperations,
                         ::testing::Combine(::testing::Values("direct", "dedup", "rank_major"),
                                            ::testing::Values("pull", "push", "prereduce", "logfmt"),
                                            ::testing::Values("in_place", "copied"), ::testing::Values(1, 2)),
                         [](const auto& test) {
                           return std::get<0>(test.param) + "_" + std::get<1>(test.param) + "_" +
                                  std::get<2>(test.param) + "_" + std::to_string(std::get<3>(test.param));
                         });

TEST(Variants, UnknownValuesAreRefusedWithTheChoices) {
  const ExchangeShape shape = shape_of(make_table(uneven), 128);
  for (const auto& [name, value, expected] : std::vector<std::tuple<std::string, std::string, std::string>>{
           {"dispatch", "sideways", "direct, dedup, rank_major"},
           {"combine", "", "pull, push, prereduce"},
           {"expert_output", "x", "in_place, copied"},
           {"inject_delay_us", "-3", "microseconds"}}) {
    ExchangeOptions options;
    options.variants[name] = value;
    try {
      find_backend("cpu")->make_world(shape, options);
      FAIL() << name;
    } catch (const UsageError& error) {
      EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
    }
  }
}

TEST(Variants, LogfmtIsRefusedWhereResultsAreSummedOnTheWay) {
  ExchangeOptions options;
  options.combine = CombineFormat::logfmt10;
  options.variants["combine"] = "prereduce";

  EXPECT_THROW(find_backend("cpu")->make_world(shape_of(make_table(uneven), 128), options), UsageError);
}

class SameBits : public ::testing::TestWithParam<std::tuple<DispatchFormat, CombineFormat, std::string>> {};
class PushedBits : public ::testing::TestWithParam<std::tuple<DispatchFormat, std::string>> {};

// Whatever is not summed in another order must come out as in the reference, to the last bit, on random data.
TEST_P(SameBits, AsTheReference) {
  ExchangeOptions options;
  options.dispatch = std::get<0>(GetParam());
  options.combine = std::get<1>(GetParam());
  const std::string expected = combined_bits("reference", make_table(uneven), options);
  options.variants["dispatch"] = std::get<2>(GetParam());

  EXPECT_EQ(combined_bits("cpu", make_table(uneven), options), expected);
  EXPECT_EQ(expected.size(), 30u * 384 * 2);
}

INSTANTIATE_TEST_SUITE_P(Formats, SameBits,
                         ::testing::Combine(::testing::Values(DispatchFormat::bf16, DispatchFormat::fp8,
                                                              DispatchFormat::fp8_pow2,
                                                              DispatchFormat::fp8_ue8m0),
                                            ::testing::Values(CombineFormat::bf16, CombineFormat::logfmt10),
                                            ::testing::Values("direct", "dedup", "rank_major")));

TEST_P(PushedBits, AreTheReferencesToo) {
  ExchangeOptions options;
  options.dispatch = std::get<0>(GetParam());
  const std::string expected = combined_bits("reference", make_table(uneven), options);
  options.variants = {{"combine", "push"}, {"dispatch", std::get<1>(GetParam())}};

  EXPECT_EQ(combined_bits("cpu", make_table(uneven), options), expected);
}

INSTANTIATE_TEST_SUITE_P(Formats, PushedBits,
                         ::testing::Combine(::testing::Values(DispatchFormat::bf16, DispatchFormat::fp8,
                                                              DispatchFormat::fp8_ue8m0),
                                            ::testing::Values("direct", "dedup", "rank_major")));

}  // namespace
}  // namespace epskew::testing
