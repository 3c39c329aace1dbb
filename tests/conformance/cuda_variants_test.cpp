// Every way in which the CUDA backend can move tokens and results, against the oracle and, to the bit,
// against the reference. Needs a GPU.

#include <gtest/gtest.h>

#include <cstdlib>
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

using Tokens = std::vector<std::int32_t>;

const TableSpec uneven{Tokens{9, 0, 4, 17}, 16, 6, Destinations::uniform, 20, 3, 4};
const TableSpec skewed{Tokens{8, 8, 8}, 24, 8, Destinations::all_to_one, 5, 0, 5};
const TableSpec alone{Tokens{13}, 16, 16, Destinations::uniform, 7, 1, 6};

/// Two rounds, each a split and a fused operation.
std::string run_oracle_on(const TableSpec& spec, int hidden, const ExchangeOptions& options, OracleData data,
                          int rounds = 2) {
  const RoutingTable table = make_table(spec);
  const ExchangeShape shape = shape_of(table, hidden);
  const auto reports = find_backend("cuda")->make_world(shape, options)->run([&](Exchange& exchange) {
    Oracle oracle(table, shape, options, data, 21);
    for (int round = 0; round < rounds; ++round) {
      if (const auto mismatch = run_oracle(exchange, oracle))
        return "round " + std::to_string(round) + ": " + to_string(*mismatch);
    }
    return std::string();
  });
  return reports.at(0);
}

using Variant = std::tuple<std::string, std::string, std::string, DispatchFormat>;
class CudaVariants : public ::testing::TestWithParam<Variant> {
 protected:
  void SetUp() override {
    if (const auto reason = find_backend("cuda")->unusable()) GTEST_SKIP() << *reason;
  }
  static ExchangeOptions options() {
    const auto& [dispatch, combine, driver, format] = GetParam();
    ExchangeOptions options;
    options.dispatch = format;
    options.micro_batches = 2;
    options.variants = {{"dispatch", dispatch}, {"combine", combine}, {"driver", driver}};
    return options;
  }
};

TEST_P(CudaVariants, AreRight) {
  for (const TableSpec& spec : {uneven, skewed, alone}) {
    for (const OracleData data : {OracleData::exact, OracleData::random})
      EXPECT_EQ(run_oracle_on(spec, 1408, options(), data), "");
  }
}

// The driver's pauses shift ranks by more than an operation lasts; every operation has its own routing and
// data. EPSKEW_STRESS_ROUNDS sets how many operations, EPSKEW_STRESS_DEVICES on which GPUs.
TEST_P(CudaVariants, AreRightUnderRandomPauses) {
  if (std::get<2>(GetParam()) != "fused") GTEST_SKIP() << "nothing runs at the same time in lockstep";
  const char* rounds = std::getenv("EPSKEW_STRESS_ROUNDS");
  const char* devices = std::getenv("EPSKEW_STRESS_DEVICES");
  ExchangeOptions delayed = options();
  delayed.variants["delay_ns"] = "20000";
  if (devices != nullptr) delayed.variants["devices"] = devices;
  delayed.micro_batches = rounds != nullptr ? 1 : 2;
  FreshPlan plan;
  plan.num_ranks = 4;
  plan.operations = rounds != nullptr ? std::atoi(rounds) : 20;
  const auto world = find_backend("cuda")->make_world(shape_of(plan), delayed);

  const auto reports = world->run([&](Exchange& exchange) { return run_fresh_operations(exchange, plan); });

  EXPECT_EQ(reports, (std::vector<std::string>{""}));
}

INSTANTIATE_TEST_SUITE_P(All, CudaVariants,
                         ::testing::Combine(::testing::Values("direct", "dedup"),
                                            ::testing::Values("pull", "push", "prereduce"),
                                            ::testing::Values("fused", "lockstep"),
                                            ::testing::Values(DispatchFormat::bf16, DispatchFormat::fp8,
                                                              DispatchFormat::fp8_ue8m0)),
                         [](const auto& test) {
                           return std::get<0>(test.param) + "_" + std::get<1>(test.param) + "_" +
                                  std::get<2>(test.param) + "_" +
                                  std::string(name_of(std::get<3>(test.param)));
                         });

class CudaVariant : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto reason = find_backend("cuda")->unusable()) GTEST_SKIP() << *reason;
  }
};

TEST_F(CudaVariant, TheDeepSeekShapeIsRightDeduplicated) {
  for (const char* combine : {"push", "prereduce"}) {
    ExchangeOptions options;
    options.variants = {{"dispatch", "dedup"}, {"combine", combine}};

    EXPECT_EQ(run_oracle_on({Tokens(8, 128), 256, 8}, 7168, options, OracleData::exact, 1), "") << combine;
  }
}

TEST_F(CudaVariant, ManyTokensAndManyRanksAreRightDeduplicated) {
  ExchangeOptions options;
  options.variants = {{"dispatch", "dedup"}, {"combine", "prereduce"}};

  EXPECT_EQ(run_oracle_on({Tokens(4, 700), 32, 5}, 512, options, OracleData::exact), "");
  EXPECT_EQ(run_oracle_on({Tokens(100, 3), 200, 4}, 256, options, OracleData::exact), "");
}

// Whatever is not summed in another order comes out as in the reference; what is pre-reduced as on the CPU,
// which sums in the same order.
TEST_F(CudaVariant, BitsAreThoseOfTheReferenceAndOfTheCpu) {
  for (const DispatchFormat format : {DispatchFormat::bf16, DispatchFormat::fp8}) {
    ExchangeOptions options;
    options.dispatch = format;
    const std::string reference = combined_bits("reference", make_table(uneven), options);
    options.variants = {{"combine", "prereduce"}};
    const std::string cpu = combined_bits("cpu", make_table(uneven), options);

    for (const char* dispatch : {"direct", "dedup"}) {
      options.variants = {{"dispatch", dispatch}, {"combine", "push"}};
      EXPECT_EQ(combined_bits("cuda", make_table(uneven), options), reference) << dispatch;
      options.variants["combine"] = "prereduce";
      EXPECT_EQ(combined_bits("cuda", make_table(uneven), options), cpu) << dispatch;
    }
    EXPECT_EQ(reference.size(), 30u * 384 * 2);
  }
}

TEST_F(CudaVariant, TensorsThatPeersDoNotReachAreCountedApart) {
  const RoutingTable table = make_table(uneven);
  const ExchangeShape shape = shape_of(table, 384);
  ExchangeOptions options;
  options.variants = {{"dispatch", "dedup"}, {"combine", "prereduce"}};
  MemoryUse use;

  find_backend("cuda")->make_world(shape, options)->run([&](Exchange& exchange) {
    use = exchange.memory(0);
    return std::string();
  });

  EXPECT_GT(use.tensors, shape.max_rows() * 3 * 384);
  EXPECT_GT(use.reserved, 0);
}

}  // namespace
}  // namespace epskew::testing
