// Known times go through the whole pipeline (rounds, reports, matrix, record); what comes out must be what
// went in.

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "epskew/report/session.hpp"
#include "epskew/support/random.hpp"
#include "fakes/forwarding.hpp"

namespace epskew {
namespace {

constexpr int num_ranks = 4;
constexpr int hot_rank = 2;

/// A right exchange whose clock says what it is told: 100 us a phase, and `cost` times that on the hot rank
/// of a skewed round, each iteration stretched by noise.
class InjectedTimes final : public test::ForwardingExchange {
 public:
  InjectedTimes(Exchange& inner, double cost, double noise, std::uint64_t stream)
      : ForwardingExchange(inner), cost_(cost), noise_(noise), random_(20261124, stream) {}

  void set_input(int local, int batch, const RankInput& input) override {
    if (local == 0) selections_.assign(num_ranks, 0);
    for (const std::int32_t expert : input.topk_idx) {
      if (expert >= 0) ++selections_[static_cast<std::size_t>(expert / shape().experts_per_rank())];
    }
    ForwardingExchange::set_input(local, batch, input);
  }

  void measure(TimingMode mode, std::span<IterationSample> samples) override {
    dispatch(0);
    combine(0);
    const double stretch = 1 + noise_ * (random_.uniform() + random_.uniform() - 1);
    const auto [least, most] = std::minmax_element(selections_.begin(), selections_.end());
    const bool skewed = *most > 2 * *least;
    for (std::size_t rank = 0; rank < samples.size(); ++rank) {
      const double us = skewed && rank == hot_rank ? 100 * cost_ : 100 - static_cast<double>(rank);
      for (const Phase phase : phases_of(mode))
        samples[rank].us[static_cast<std::size_t>(phase)] = us * stretch;
      samples[rank].misalignment_us = 0.5 * static_cast<double>(rank);
    }
  }

 private:
  double cost_;
  double noise_;
  RandomStream random_;
  std::vector<int> selections_;
};

Record measured(double cost, double noise, int iterations, std::uint64_t stream) {
  WorkloadSpec spec;
  spec.num_experts = 16;
  spec.topk = 2;
  spec.tokens_per_rank = std::vector<std::int32_t>(num_ranks, 16);
  spec.hot_rank = hot_rank;
  SessionPlan plan;
  plan.rounds = plan_rounds(spec, std::vector<double>{2.0});
  plan.hidden = 128;
  plan.round.warmup = 0;
  plan.round.iterations = iterations;
  plan.round.flush_cache = false;
  std::uint64_t round = 0;
  const test::ForwardingBackend backend([&](Exchange& inner) {
    return std::make_unique<InjectedTimes>(inner, cost, noise, 100 * stream + ++round);
  });
  return *run_session(backend, plan, {});
}

TEST(InjectedTimes, ComeOutAsTheyWentIn) {
  const Record record = measured(2.5, 0, 200, 0);

  const RoundRecord& skewed = record.rounds.at(2);
  ASSERT_EQ(skewed.load.rank.hot, hot_rank);
  for (const Phase phase : all_phases()) {
    const PhaseRecord& timed = *skewed.phase(phase);
    EXPECT_EQ(timed.slowest_rank.p50, 250.0) << name_of(phase);
    EXPECT_EQ(timed.slowest_rank.p99, 250.0);
    EXPECT_EQ(timed.hot_rank.p50, 250.0);
    EXPECT_EQ(timed.per_rank.mean, (std::vector<double>{100, 99, 250, 97}));
    EXPECT_EQ(timed.over_ranks.mean, 136.5);
    EXPECT_EQ(timed.times_slowest, (std::vector<std::int64_t>{0, 0, 200, 0}));
  }
  EXPECT_EQ(record.rounds.at(1).phase(Phase::dispatch)->times_slowest,
            (std::vector<std::int64_t>{200, 0, 0, 0}));
  EXPECT_EQ(skewed.misalignment->max_over_ranks.max, 1.5);
  EXPECT_EQ(record.config.clock.source, "injected");
}

TEST(InjectedTimes, TheCostOfImbalanceIsTheInjectedOne) {
  const CostRecord cost = *measured(2.5, 0, 20, 0).rounds.at(2).cost_of_imbalance;

  EXPECT_EQ(cost.ratio, 2.5);
  EXPECT_EQ(cost.low, 2.5);
  EXPECT_EQ(cost.high, 2.5);
  EXPECT_EQ(cost.reference, "1.0");
}

TEST(InjectedTimes, BandwidthDividesByTheSlowestRank) {
  const RoundRecord skewed = measured(2.5, 0, 20, 0).rounds.at(2);

  const RateRecord& taken = skewed.bandwidth.hot_receive.at("dispatch");
  // 64 tokens of 2 selections, factor 2 on 4 ranks: 64 selections of 128 + 4 + 16 bytes.
  EXPECT_EQ(taken.bytes, 64 * 148);
  EXPECT_EQ(taken.gb_per_s, 64 * 148 / 250e-6 / 1e9);
}

// 40 noisy runs: a 95 % interval may miss the truth in a few of them. With p = 0.95 a binomial(40) is below
// 33 with probability 0.0007.
TEST(InjectedTimes, TheIntervalHoldsTheTrueCost) {
  int covered = 0;

  for (std::uint64_t repeat = 0; repeat < 40; ++repeat) {
    const CostRecord cost = *measured(1.5, 0.2, 30, repeat).rounds.at(2).cost_of_imbalance;
    if (cost.low <= 1.5 && 1.5 <= cost.high) ++covered;
    ASSERT_LT(cost.low, cost.high);
  }

  EXPECT_GE(covered, 33);
}

}  // namespace
}  // namespace epskew
