// Exchanges that look right to whoever only repeats himself, or only looks roughly. Every one must be
// refused.

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "conformance/tables.hpp"
#include "epskew/exchange/oracle.hpp"
#include "epskew/exchange/pressure.hpp"
#include "epskew/measure/round.hpp"
#include "epskew/support/error.hpp"
#include "fakes/forwarding.hpp"

namespace epskew::testing {
namespace {

using test::ForwardingExchange;

/// Claims a microsecond for whatever it did.
void fill_in(TimingMode mode, std::span<IterationSample> samples) {
  for (IterationSample& sample : samples) {
    for (const Phase phase : phases_of(mode)) sample.us[static_cast<std::size_t>(phase)] = 1;
    sample.misalignment_us = 0;
  }
}

class FusedDoesNothing final : public ForwardingExchange {
 public:
  using ForwardingExchange::ForwardingExchange;
  void dispatch(int /*batch*/) override {}
  void combine(int /*batch*/) override {}
};

class MeasureDoesNothing final : public ForwardingExchange {
 public:
  using ForwardingExchange::ForwardingExchange;
  void measure(TimingMode mode, std::span<IterationSample> samples) override { fill_in(mode, samples); }
};

class OneModeDoesNothing final : public ForwardingExchange {
 public:
  using ForwardingExchange::ForwardingExchange;
  void measure(TimingMode mode, std::span<IterationSample> samples) override {
    if (mode != TimingMode::split) ForwardingExchange::measure(mode, samples);
    fill_in(mode, samples);
  }
};

class MeasureOnlyDispatches final : public ForwardingExchange {
 public:
  using ForwardingExchange::ForwardingExchange;
  void measure(TimingMode mode, std::span<IterationSample> samples) override {
    dispatch(0);
    fill_in(mode, samples);
  }
};

/// What measure() combines is not a number.
class TimedCombineIsWrong final : public ForwardingExchange {
 public:
  using ForwardingExchange::ForwardingExchange;
  void measure(TimingMode mode, std::span<IterationSample> samples) override {
    ForwardingExchange::measure(mode, samples);
    timed_ = true;
  }
  void dispatch_send(int batch) override {
    timed_ = false;
    ForwardingExchange::dispatch_send(batch);
  }
  void dispatch(int batch) override {
    timed_ = false;
    ForwardingExchange::dispatch(batch);
  }
  std::span<const BFloat16> combine_output(int local, int batch) override {
    const auto right = ForwardingExchange::combine_output(local, batch);
    if (!timed_) return right;
    wrong_.assign(right.size(), BFloat16{0x7fc0});
    return wrong_;
  }

 private:
  bool timed_ = false;
  std::vector<BFloat16> wrong_;
};

/// Does one operation for every set_input, and nothing when asked again.
class OnlyTheFirstOperation final : public ForwardingExchange {
 public:
  using ForwardingExchange::ForwardingExchange;
  void set_input(int local, int batch, const RankInput& input) override {
    done_ = false;
    ForwardingExchange::set_input(local, batch, input);
  }
  void dispatch_send(int batch) override {
    if (!done_) ForwardingExchange::dispatch_send(batch);
  }
  void dispatch_recv(int batch) override {
    if (!done_) ForwardingExchange::dispatch_recv(batch);
  }
  void combine_send(int batch) override {
    if (!done_) ForwardingExchange::combine_send(batch);
  }
  void combine_recv(int batch) override {
    if (!done_) ForwardingExchange::combine_recv(batch);
    done_ = true;
  }
  void dispatch(int batch) override {
    dispatch_send(batch);
    dispatch_recv(batch);
  }
  void combine(int batch) override {
    combine_send(batch);
    combine_recv(batch);
  }
  void measure(TimingMode mode, std::span<IterationSample> samples) override {
    dispatch(0);
    combine(0);
    fill_in(mode, samples);
  }

 private:
  bool done_ = false;
};

class BatchesMixedUp final : public ForwardingExchange {
 public:
  using ForwardingExchange::ForwardingExchange;
  DispatchOutput dispatch_output(int local, int /*batch*/) override {
    return ForwardingExchange::dispatch_output(local, 0);
  }
  std::span<BFloat16> expert_output(int local, int /*batch*/) override {
    return ForwardingExchange::expert_output(local, 0);
  }
  std::span<const BFloat16> combine_output(int local, int /*batch*/) override {
    return ForwardingExchange::combine_output(local, 0);
  }
};

/// From its ninth operation on two ranks get each other's tokens.
class RanksChangePlaces final : public ForwardingExchange {
 public:
  using ForwardingExchange::ForwardingExchange;
  void combine_recv(int batch) override {
    ++operations_;
    ForwardingExchange::combine_recv(batch);
  }
  void combine(int batch) override {
    ++operations_;
    ForwardingExchange::combine(batch);
  }
  std::span<const BFloat16> combine_output(int local, int batch) override {
    return ForwardingExchange::combine_output(operations_ > 8 && local < 2 ? 1 - local : local, batch);
  }

 private:
  int operations_ = 0;
};

/// How a combine of its own goes wrong.
struct Summing {
  bool sums_in_bf16 = false;
  bool weights_in_bf16 = false;
  bool backwards = false;
  bool reads_masked_weights = false;
  bool fused = false;  ///< which is right
};

class OwnCombine final : public ForwardingExchange {
 public:
  OwnCombine(Exchange& inner, Summing summing, CombineRounding rounding = CombineRounding::in_order)
      : ForwardingExchange(inner),
        summing_(summing),
        rounding_(rounding),
        inputs_(inner.local_ranks().size()),
        out_(inputs_.size()) {}

  CombineRounding combine_rounding() const override { return rounding_; }
  void set_input(int local, int batch, const RankInput& input) override {
    inputs_[static_cast<std::size_t>(local)] = input;
    ForwardingExchange::set_input(local, batch, input);
  }
  std::span<const BFloat16> combine_output(int local, int batch) override {
    const auto topk = static_cast<std::size_t>(shape().topk);
    auto& out = out_[static_cast<std::size_t>(local)];
    out.clear();
    const std::size_t tokens = inputs_[static_cast<std::size_t>(local)].topk_idx.size() / topk;
    for (std::size_t token = 0; token < tokens; ++token) {
      for (const float value : sum(local, batch, token)) out.push_back(to_bfloat16(value));
    }
    return out;
  }

 private:
  std::vector<float> sum(int local, int batch, std::size_t token) {
    const auto topk = static_cast<std::size_t>(shape().topk);
    const RankInput& input = inputs_[static_cast<std::size_t>(local)];
    std::vector<float> sums(static_cast<std::size_t>(shape().hidden));
    for (std::size_t i = 0; i < topk; ++i) {
      const std::size_t selection = token * topk + (summing_.backwards ? topk - 1 - i : i);
      const std::int32_t expert = input.topk_idx[selection];
      float weight = input.topk_weights[selection];
      if (summing_.weights_in_bf16) weight = to_float(to_bfloat16(weight));
      if (expert < 0) {
        if (summing_.reads_masked_weights) {
          for (float& value : sums) value += weight * 0.0f;
        }
        continue;
      }
      const auto result = result_of(local, batch, static_cast<std::int32_t>(token), expert);
      for (std::size_t column = 0; column < sums.size(); ++column) add(sums[column], weight, result[column]);
    }
    return sums;
  }
  void add(float& sum, float weight, BFloat16 value) const {
    sum = summing_.fused ? std::fma(weight, to_float(value), sum) : sum + weight * to_float(value);
    if (summing_.sums_in_bf16) sum = to_float(to_bfloat16(sum));
  }
  std::span<const BFloat16> result_of(int local, int batch, std::int32_t token, int expert) {
    const int host = expert / shape().experts_per_rank();
    const int cell = expert % shape().experts_per_rank() * shape().num_ranks + local;
    const DispatchOutput output = dispatch_output(host, batch);
    const RowRange range = output.source_range[static_cast<std::size_t>(cell)];
    const auto hidden = static_cast<std::size_t>(shape().hidden);
    auto row = static_cast<std::size_t>(range.begin);
    while (output.source_token[row] != token) ++row;
    return expert_output(host, batch).subspan(row * hidden, hidden);
  }

  Summing summing_;
  CombineRounding rounding_;
  std::vector<RankInput> inputs_;
  std::vector<std::vector<BFloat16>> out_;
};

template <class Fake>
test::Wrap wrap() {
  return [](Exchange& inner) { return std::make_unique<Fake>(inner); };
}

test::Wrap own_combine(Summing summing, CombineRounding rounding = CombineRounding::in_order) {
  return [=](Exchange& inner) { return std::make_unique<OwnCombine>(inner, summing, rounding); };
}

RoutingTable small_table(std::uint64_t seed = 1) {
  return make_table({std::vector<std::int32_t>(4, 8), 16, 4, Destinations::uniform, 6, 0, seed});
}

/// The oracle's verdict, "" where it has nothing against it.
std::string verdict(const test::Wrap& wrap, const RoutingTable& table, const ExchangeOptions& options,
                    OracleData data = OracleData::random) {
  const ExchangeShape shape = shape_of(table, 1024);
  const auto world = test::ForwardingBackend(wrap).make_world(shape, options);
  return world
      ->run([&](Exchange& exchange) {
        Oracle oracle(table, shape, options, data, 5);
        const auto mismatch = run_oracle(exchange, oracle);
        return mismatch ? to_string(*mismatch) : std::string();
      })
      .at(0);
}

TEST(RunOracle, SeesThatTheFusedPathDoesNothing) {
  for (const OracleData data : {OracleData::exact, OracleData::random}) {
    EXPECT_NE(verdict(wrap<FusedDoesNothing>(), small_table(), {}, data), "");
  }
}

TEST(RunOracle, SeesMicroBatchesMixedUp) {
  ExchangeOptions options;
  options.micro_batches = 3;

  EXPECT_NE(verdict(wrap<BatchesMixedUp>(), small_table(), options), "");
}

class Summings : public ::testing::TestWithParam<DispatchFormat> {
 protected:
  static std::string verdict_on(Summing summing) {
    const RoutingTable table =
        make_table({std::vector<std::int32_t>(4, 24), 32, 8, Destinations::uniform, 20});
    ExchangeOptions options;
    options.dispatch = GetParam();
    return verdict(own_combine(summing), table, options);
  }
};

TEST_P(Summings, OfTheContractAreRight) {
  EXPECT_EQ(verdict_on({}), "");
  EXPECT_EQ(verdict_on({.fused = true}), "");
}
TEST_P(Summings, InBfloat16AreSeen) {
  EXPECT_NE(verdict_on({.sums_in_bf16 = true}), "");
}
TEST_P(Summings, WithWeightsInBfloat16AreSeen) {
  EXPECT_NE(verdict_on({.weights_in_bf16 = true}), "");
}
TEST_P(Summings, InAnotherOrderAreSeen) {
  EXPECT_NE(verdict_on({.backwards = true}), "");
}
TEST_P(Summings, ThatReadMaskedWeightsAreSeen) {
  EXPECT_NE(verdict_on({.reads_masked_weights = true}), "");
}

INSTANTIATE_TEST_SUITE_P(Formats, Summings,
                         ::testing::Values(DispatchFormat::bf16, DispatchFormat::fp8,
                                           DispatchFormat::fp8_ue8m0),
                         [](const auto& test) { return std::string(name_of(test.param)); });

// A sum in another order, or with a rounding on the way, is right where the exchange says so, and no excuse.
TEST(CombineRoundings, AllowWhatTheySayAndNoMore) {
  const RoutingTable table = make_table({std::vector<std::int32_t>(4, 24), 32, 8});
  const auto verdict_on = [&](Summing summing, CombineRounding rounding) {
    return verdict(own_combine(summing, rounding), table, {});
  };

  EXPECT_EQ(verdict_on({.backwards = true}, CombineRounding::any_order), "");
  EXPECT_NE(verdict_on({.weights_in_bf16 = true}, CombineRounding::any_order), "");
  EXPECT_EQ(verdict_on({.backwards = true}, CombineRounding::summed_on_the_way), "");
  EXPECT_NE(verdict_on({.sums_in_bf16 = true}, CombineRounding::summed_on_the_way), "");
}

TEST(Weights, NearTheEndOfBinary32AreNoMistake) {
  RoutingTable table = small_table();
  for (float& weight : table.topk_weights) weight *= 2e38f;

  EXPECT_EQ(verdict(wrap<ForwardingExchange>(), table, {}), "");
}

/// What the oracle of blind experts finds in a combine whose results were laid out on `laid_out_on`, before
/// the dispatch.
std::string verdict_with_blind_experts(DispatchFormat format, int renewals) {
  const RoutingTable table = small_table();
  const ExchangeShape shape = shape_of(table, 256);
  ExchangeOptions options;
  options.dispatch = format;
  std::string found;
  find_backend("reference")->make_world(shape, options)->run([&](Exchange& exchange) {
    Oracle oracle(table, shape, options, OracleData::random, 1);
    oracle.use_blind_experts(true);
    const auto dispatch = [&] {
      for (int rank = 0; rank < 4; ++rank) exchange.set_input(rank, 0, oracle.input(rank));
      exchange.dispatch(0);
    };
    dispatch();
    for (int rank = 0; rank < 4; ++rank)
      oracle.apply_experts(rank, exchange.dispatch_output(rank, 0), exchange.expert_output(rank, 0));
    for (int i = 0; i < renewals; ++i) oracle.renew();
    dispatch();
    for (int rank = 0; rank < 4; ++rank)
      EXPECT_EQ(oracle.check_dispatch(rank, exchange.dispatch_output(rank, 0)), std::nullopt);
    exchange.combine(0);
    for (int rank = 0; rank < 4 && found.empty(); ++rank) {
      if (const auto wrong = oracle.check_combine(rank, exchange.combine_output(rank, 0)))
        found = to_string(*wrong);
    }
    return std::string();
  });
  return found;
}

TEST(BlindExperts, AnswerTheSameWhateverTheyGet) {
  for (const DispatchFormat format : {DispatchFormat::bf16, DispatchFormat::fp8, DispatchFormat::fp8_pow2})
    EXPECT_EQ(verdict_with_blind_experts(format, 0), "");
}

TEST(BlindExperts, AnswerOtherwiseAfterRenew) {
  EXPECT_NE(verdict_with_blind_experts(DispatchFormat::fp8, 1), "");
}

TEST(CheckDispatch, RefusesANegativeStorageRow) {
  const RoutingTable table = small_table();
  const ExchangeShape shape = shape_of(table, 256);
  std::optional<Mismatch> found;
  find_backend("reference")->make_world(shape, {})->run([&](Exchange& exchange) {
    Oracle oracle(table, shape, {}, OracleData::exact, 1);
    for (int rank = 0; rank < 4; ++rank) exchange.set_input(rank, 0, oracle.input(rank));
    exchange.dispatch(0);
    DispatchOutput output = exchange.dispatch_output(0, 0);
    std::vector<std::int32_t> rows(static_cast<std::size_t>(output.num_rows()));
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::int32_t>(i);
    output.storage_row = rows;
    EXPECT_FALSE(oracle.check_dispatch(0, output));
    rows[0] = -1000000;
    found = oracle.check_dispatch(0, output);
    return std::string();
  });

  ASSERT_TRUE(found);
  EXPECT_EQ(found->detail, "storage rows: -1000000 is none");
}

/// What run_round says, "" where it has nothing against it.
std::string round_problem(const test::Wrap& wrap) {
  const RoutingTable table = small_table();
  const auto world = test::ForwardingBackend(wrap).make_world(shape_of(table, 256), {});
  RoundPlan plan;
  plan.label = "1.0";
  plan.iterations = 4;
  plan.warmup = 1;
  plan.flush_cache = false;
  try {
    run_round(*world, table, plan);
  } catch (const WrongResult& wrong) {
    return wrong.what();
  }
  return {};
}

TEST(Round, HasNothingAgainstARightExchange) {
  EXPECT_EQ(round_problem(wrap<ForwardingExchange>()), "");
}

TEST(Round, RefusesTimingThatDoesNothing) {
  EXPECT_NE(round_problem(wrap<MeasureDoesNothing>()).find("in the timing: dispatch"), std::string::npos);
  EXPECT_NE(round_problem(wrap<OneModeDoesNothing>()).find("in the timing: dispatch"), std::string::npos);
  EXPECT_NE(round_problem(wrap<MeasureOnlyDispatches>()).find("in the timing: combine"), std::string::npos);
}

TEST(Round, RefusesAWrongTimedCombine) {
  EXPECT_NE(round_problem(wrap<TimedCombineIsWrong>()).find("in the timing: combine"), std::string::npos);
}

TEST(Round, RefusesTimingOfWhichOnlyTheFirstIterationIsReal) {
  EXPECT_NE(round_problem(wrap<OnlyTheFirstOperation>()).find("in the timing: combine"), std::string::npos);
}

std::string pressure_problem(const test::Wrap& wrap, int micro_batches = 1) {
  ExchangeOptions options;
  options.micro_batches = micro_batches;
  const auto world = test::ForwardingBackend(wrap).make_world(shape_of(small_table(), 256), options);
  try {
    run_pressure_test(*world, options, small_table, {1, 20, 1e-9}, {});
  } catch (const WrongResult& wrong) {
    return wrong.what();
  }
  return {};
}

TEST(Pressure, HasNothingAgainstARightExchange) {
  for (const int micro_batches : {1, 2, 4}) {
    EXPECT_EQ(pressure_problem(wrap<ForwardingExchange>(), micro_batches), "");
  }
}

TEST(Pressure, RefusesAFusedPathThatDoesNothing) {
  EXPECT_NE(pressure_problem(wrap<FusedDoesNothing>()), "");
}

TEST(Pressure, RefusesAnExchangeOfWhichOnlyTheFirstOperationIsReal) {
  EXPECT_NE(pressure_problem(wrap<OnlyTheFirstOperation>()), "");
}

TEST(Pressure, RefusesRanksThatChangePlaces) {
  EXPECT_NE(pressure_problem(wrap<RanksChangePlaces>()).find("hash"), std::string::npos);
}

}  // namespace
}  // namespace epskew::testing
