// The oracle must see each of these faults and say where it is. A right exchange is made wrong on purpose.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "conformance/tables.hpp"
#include "epskew/backends/registry.hpp"
#include "epskew/exchange/oracle.hpp"

namespace epskew::testing {
namespace {

/// A dispatch output that can be changed.
struct Delivery {
  std::vector<std::byte> rows;
  std::vector<float> scales;
  std::vector<std::int32_t> expert_begin;
  std::vector<RowRange> source_range;
  std::vector<std::int32_t> source_token;
  std::size_t row_bytes() const { return rows.size() / source_token.size(); }
  std::size_t num_groups() const { return scales.size() / source_token.size(); }
};

using Spoil = std::function<void(Delivery&)>;
using SpoilCombined = std::function<void(std::vector<BFloat16>&)>;

/// Passes everything on to a right exchange, except that rank 1's results go through the given functions.
class FaultyExchange final : public Exchange {
 public:
  FaultyExchange(Exchange& right, Spoil spoil, SpoilCombined spoil_combined)
      : right_(right), spoil_(std::move(spoil)), spoil_combined_(std::move(spoil_combined)) {}

  const ExchangeShape& shape() const override { return right_.shape(); }
  const ExchangeOptions& options() const override { return right_.options(); }
  std::span<const int> local_ranks() const override { return right_.local_ranks(); }
  void set_input(int local, int batch, const RankInput& input) override {
    right_.set_input(local, batch, input);
  }
  void dispatch_send(int batch) override { right_.dispatch_send(batch); }
  void dispatch_recv(int batch) override { right_.dispatch_recv(batch); }
  void combine_send(int batch) override { right_.combine_send(batch); }
  void combine_recv(int batch) override { right_.combine_recv(batch); }
  std::span<BFloat16> expert_output(int local, int batch) override {
    return right_.expert_output(local, batch);
  }
  void align() override {}
  MemoryUse memory(int local) const override { return right_.memory(local); }

  DispatchOutput dispatch_output(int local, int batch) override {
    const DispatchOutput output = right_.dispatch_output(local, batch);
    if (local != 1 || !spoil_) return output;
    delivery_ = {{output.rows.begin(), output.rows.end()},
                 {output.scales.begin(), output.scales.end()},
                 {output.expert_begin.begin(), output.expert_begin.end()},
                 {output.source_range.begin(), output.source_range.end()},
                 {output.source_token.begin(), output.source_token.end()}};
    spoil_(delivery_);
    return {output.format,          delivery_.rows,         delivery_.scales,      {},
            delivery_.expert_begin, delivery_.source_range, delivery_.source_token};
  }
  std::span<const BFloat16> combine_output(int local, int batch) override {
    const auto output = right_.combine_output(local, batch);
    if (local != 1 || !spoil_combined_) return output;
    combined_.assign(output.begin(), output.end());
    spoil_combined_(combined_);
    return combined_;
  }

 private:
  Exchange& right_;
  Spoil spoil_;
  SpoilCombined spoil_combined_;
  Delivery delivery_;
  std::vector<BFloat16> combined_;
};

std::optional<Mismatch> oracle_on(OracleData data, Spoil spoil, SpoilCombined spoil_combined = {}) {
  const RoutingTable table = make_table({std::vector<std::int32_t>(3, 12), 6, 2});
  const ExchangeShape shape = shape_of(table, 384);
  const ExchangeOptions options;
  const auto world = find_backend("reference")->make_world(shape, options);
  std::optional<Mismatch> found;
  world->run([&](Exchange& exchange) {
    FaultyExchange faulty(exchange, spoil, spoil_combined);
    Oracle oracle(table, shape, options, data, 11);
    found = run_oracle(faulty, oracle);
    return std::string();
  });
  return found;
}

struct Fault {
  std::string name;
  Spoil spoil;
  std::string detail;  ///< part of what the oracle must say
};

class DispatchFaults : public ::testing::TestWithParam<std::tuple<Fault, OracleData>> {};

TEST_P(DispatchFaults, AreFoundAndLocated) {
  const auto& [fault, data] = GetParam();

  const auto found = oracle_on(data, fault.spoil);

  ASSERT_TRUE(found);
  EXPECT_EQ(found->phase, "dispatch");
  EXPECT_EQ(found->rank, 1);
  EXPECT_NE(to_string(*found).find(fault.detail), std::string::npos) << to_string(*found);
}

void swap_rows(Delivery& delivery) {
  const auto bytes = static_cast<std::ptrdiff_t>(delivery.row_bytes());
  std::swap_ranges(delivery.rows.begin(), delivery.rows.begin() + bytes, delivery.rows.begin() + bytes);
  const auto groups = static_cast<std::ptrdiff_t>(delivery.num_groups());
  std::swap_ranges(delivery.scales.begin(), delivery.scales.begin() + groups,
                   delivery.scales.begin() + groups);
}

INSTANTIATE_TEST_SUITE_P(
    All, DispatchFaults,
    ::testing::
        Combine(::testing::Values(
                    Fault{"SwappedTokens", swap_rows, "holds token"},
                    Fault{"WrongScale", [](Delivery& delivery) { delivery.scales[4] *= 2; },
                          "column 128: scale"},
                    Fault{"OneWrongByte", [](Delivery& delivery) { delivery.rows[700] ^= std::byte{0x40}; },
                          "column 316"},
                    Fault{"WrongSourceToken", [](Delivery& delivery) { delivery.source_token[0] ^= 1; },
                          "source tokens"},
                    Fault{"DroppedMessage",
                          [](Delivery& delivery) {
                            for (RowRange& range : delivery.source_range) {
                              if (range.count == 0) continue;
                              --range.count;
                              break;
                            }
                          },
                          "rows: expected"},
                    Fault{"WrongExpert", [](Delivery& delivery) { ++delivery.expert_begin[1]; },
                          "expert 2: rows: expected"},
                    Fault{
                        "OverlappingRanges",
                        [](Delivery& delivery) {
                          for (RowRange& range : delivery.source_range)
                            range.begin = std::max(range.begin - 1, 0);
                        },
                        "row ranges"}),
                ::testing::Values(OracleData::exact, OracleData::random)),
    [](const auto& test) {
      return std::get<0>(test.param).name +
             (std::get<1>(test.param) == OracleData::exact ? "_exact" : "_random");
    });

struct CombineFault {
  std::string name;
  SpoilCombined spoil;
  int token;
  int column;
};

class CombineFaults : public ::testing::TestWithParam<std::tuple<CombineFault, OracleData>> {};

TEST_P(CombineFaults, AreFoundAndLocated) {
  const auto& [fault, data] = GetParam();

  const auto found = oracle_on(data, {}, fault.spoil);

  ASSERT_TRUE(found);
  EXPECT_EQ(found->phase, "combine");
  EXPECT_EQ(found->rank, 1);
  EXPECT_EQ(found->token, fault.token);
  EXPECT_EQ(found->column, fault.column);
}

BFloat16 times(BFloat16 value, float factor) {
  return to_bfloat16(to_float(value) * factor);
}

INSTANTIATE_TEST_SUITE_P(
    All, CombineFaults,
    ::testing::Combine(
        ::testing::Values(
            CombineFault{"DoubledContribution",
                         [](std::vector<BFloat16>& out) {
                           for (std::size_t i = 3 * 384; i < 4 * 384; ++i) out[i] = times(out[i], 1.5f);
                         },
                         3, 0},
            CombineFault{"LostContribution",
                         [](std::vector<BFloat16>& out) {
                           for (std::size_t i = 5 * 384; i < 6 * 384; ++i) out[i] = times(out[i], 0.5f);
                         },
                         5, 0},
            CombineFault{"OneWrongColumn",
                         [](std::vector<BFloat16>& out) { out[7 * 384 + 200].bits ^= 0x8000; }, 7, 200},
            CombineFault{"NotANumber", [](std::vector<BFloat16>& out) { out[2 * 384 + 383].bits = 0x7fc0; },
                         2, 383}),
        ::testing::Values(OracleData::exact, OracleData::random)),
    [](const auto& test) {
      return std::get<0>(test.param).name +
             (std::get<1>(test.param) == OracleData::exact ? "_exact" : "_random");
    });

// Expert outputs computed by the wrong expert: the power of two of its neighbour.
TEST(Oracle, SeesATokenThatTheWrongExpertComputed) {
  const RoutingTable table = make_table({std::vector<std::int32_t>(2, 6), 4, 2});
  const ExchangeShape shape = shape_of(table, 128);
  const ExchangeOptions options;
  const auto world = find_backend("reference")->make_world(shape, options);

  std::optional<Mismatch> found;
  world->run([&](Exchange& exchange) {
    Oracle oracle(table, shape, options, OracleData::exact, 11);
    for (int rank = 0; rank < 2; ++rank) exchange.set_input(rank, 0, oracle.input(rank));
    exchange.dispatch(0);
    for (int rank = 0; rank < 2; ++rank) {
      oracle.apply_experts(1 - rank, exchange.dispatch_output(rank, 0), exchange.expert_output(rank, 0));
    }
    exchange.combine(0);
    found = oracle.check_combine(0, exchange.combine_output(0, 0));
    return std::string();
  });

  ASSERT_TRUE(found);
  EXPECT_EQ(found->phase, "combine");
}

TEST(Oracle, SaysNothingAboutARightExchange) {
  EXPECT_FALSE(oracle_on(OracleData::exact, {}));
  EXPECT_FALSE(oracle_on(OracleData::random, {}));
}

}  // namespace
}  // namespace epskew::testing
