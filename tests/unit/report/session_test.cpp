#include "epskew/report/session.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <string>

#include "epskew/report/json.hpp"
#include "epskew/support/error.hpp"
#include "epskew/workload/generate.hpp"
#include "fakes/forwarding.hpp"

namespace epskew {
namespace {

WorkloadSpec small_spec() {
  WorkloadSpec spec;
  spec.num_experts = 16;
  spec.topk = 2;
  spec.tokens_per_rank = {16, 16, 16, 16};
  spec.num_masked = 2;
  spec.seed = 5;
  return spec;
}

SessionPlan small_plan(std::vector<double> factors) {
  SessionPlan plan;
  plan.argv = {"epskew", "bench"};
  plan.rounds = plan_rounds(small_spec(), factors);
  plan.hidden = 128;
  plan.round.warmup = 1;
  plan.round.iterations = 6;
  plan.round.flush_cache = false;
  plan.distribution = "lognormal";
  plan.factors = std::move(factors);
  return plan;
}

std::vector<std::string> labels(const std::vector<PlannedRound>& rounds) {
  std::vector<std::string> found;
  for (const PlannedRound& round : rounds) found.push_back(round.label);
  return found;
}

/// Flips one bit of what a phase delivers to a rank, from a given call on.
class Corrupting final : public test::ForwardingExchange {
 public:
  Corrupting(Exchange& inner, int good_combines) : ForwardingExchange(inner), good_(good_combines) {}
  std::span<const BFloat16> combine_output(int local, int batch) override {
    const auto right = ForwardingExchange::combine_output(local, batch);
    if (local != 2 || good_-- > 0) return right;
    wrong_.assign(right.begin(), right.end());
    wrong_.at(3 * 128 + 7).bits ^= 0x4000;
    return wrong_;
  }

 private:
  int good_;
  std::vector<BFloat16> wrong_;
};

std::string problem_with(int good_combines) {
  const test::ForwardingBackend backend(
      [=](Exchange& inner) { return std::make_unique<Corrupting>(inner, good_combines); });
  try {
    run_session(backend, small_plan({}), {});
  } catch (const WrongResult& error) {
    return error.what();
  }
  return "nothing";
}

TEST(FactorLabel, HasADecimal) {
  EXPECT_EQ(factor_label(1), "1.0");
  EXPECT_EQ(factor_label(2.5), "2.5");
  EXPECT_EQ(factor_label(12), "12.0");
}

TEST(PlanRounds, UniformAndBalancedComeFirstAndOnce) {
  const auto rounds = plan_rounds(small_spec(), std::array{1.0, 2.0, 3.0});

  EXPECT_EQ(labels(rounds), (std::vector<std::string>{"uniform", "1.0", "2.0", "3.0"}));
  EXPECT_EQ(rounds[0].target_factor, std::nullopt);
  EXPECT_EQ(rounds[3].target_factor, 3.0);
}

TEST(PlanRounds, TheBalancedRoundIsBalancedWhateverTheLaw) {
  WorkloadSpec spec = small_spec();
  spec.sampling = Sampling::multinomial;
  spec.pattern = Pattern::k_hot;
  spec.hot_experts = 4;

  const auto rounds = base_rounds(spec);

  const LoadMetrics load = count_load(rounds.at(1).workload.table).rank;
  EXPECT_LE(load.max - load.min, 1);
}

TEST(PlanRounds, ABurstHasARoundAStepAndColdStepsSayThatTheyAreBalanced) {
  WorkloadSpec spec = small_spec();
  spec.pattern = Pattern::burst;
  spec.burst_period = 2;
  spec.step = 4;

  const auto rounds = plan_rounds(spec, std::array{3.0}, 3);

  EXPECT_EQ(labels(rounds),
            (std::vector<std::string>{"uniform", "1.0", "3.0 step 4 cold", "3.0 step 5", "3.0 step 6 cold"}));
  for (std::size_t i = 1; i < rounds.size(); ++i) {
    const LoadMetrics load = count_load(rounds[i].workload.table).rank;
    EXPECT_EQ(load.max, std::llround(load.mean * *rounds[i].target_factor)) << i;
  }
}

TEST(PlanRounds, ARotatingRankIsHotInTurn) {
  WorkloadSpec spec = small_spec();
  spec.pattern = Pattern::rotating;

  const auto rounds = plan_rounds(spec, std::array{1.0, 2.0, 3.0}, 2);

  EXPECT_EQ(labels(rounds), (std::vector<std::string>{"uniform", "1.0", "2.0 step 0", "2.0 step 1",
                                                      "3.0 step 0", "3.0 step 1"}));
  const int first = count_load(rounds[2].workload.table).rank.hot;
  EXPECT_EQ(count_load(rounds[3].workload.table).rank.hot, (first + 1) % 4);
}

TEST(PlanRounds, PatternsThatDecideTheirLoadsTakeNoFactor) {
  WorkloadSpec spec = small_spec();
  spec.pattern = Pattern::k_hot;
  spec.hot_experts = 4;
  spec.hot_fraction = 0.5;

  EXPECT_THROW(plan_rounds(spec, std::array{1.0}), UsageError);
  EXPECT_THROW(plan_rounds(spec, std::array{1.0, 2.0}), UsageError);
  EXPECT_EQ(labels(plan_rounds(spec, {})), (std::vector<std::string>{"uniform", "1.0", "k-hot"}));
}

TEST(PlanRounds, OnlyPatternsWithStepsTakeSteps) {
  EXPECT_THROW(plan_rounds(small_spec(), std::array{2.0}, 2), UsageError);
  EXPECT_THROW(plan_rounds(small_spec(), std::array{2.0}, 0), UsageError);
}

TEST(PlanRounds, RefusesBeforeAnythingRuns) {
  EXPECT_THROW(plan_rounds(small_spec(), std::array{2.0, 2.0}), UsageError);
  EXPECT_THROW(plan_rounds(small_spec(), std::array{99.0}), UsageError);
}

TEST(Session, MakesACompleteRecord) {
  const auto record = run_session(*find_backend("reference"), small_plan({2.0}), {});

  ASSERT_TRUE(record);
  ASSERT_EQ(record->rounds.size(), 3u);
  const RoundRecord& skewed = record->rounds[2];
  EXPECT_NEAR(skewed.load.rank.factor, 2.0, 0.02);
  EXPECT_EQ(skewed.oracle.after, "passed");
  EXPECT_EQ(skewed.phase(Phase::dispatch_combine)->samples_us.iterations(), 6);
  EXPECT_EQ(skewed.phase(Phase::combine_recv)->samples_us.num_ranks, 4);
  EXPECT_TRUE(skewed.cost_of_imbalance);
  EXPECT_FALSE(record->rounds[1].cost_of_imbalance);
  EXPECT_EQ(record->config.max_tokens, 16);
  EXPECT_EQ(to_json(from_json(to_json(*record), "r")), to_json(*record));
}

TEST(Session, TellsTheObserverWhatHappens) {
  std::vector<std::string> events;
  SessionObserver observer;
  observer.started = [&](const Record& record) { events.push_back("start " + record.config.backend); };
  observer.visit_started = [&](const std::string& label, std::size_t index, std::size_t total) {
    events.push_back(label + " " + std::to_string(index) + "/" + std::to_string(total));
  };
  observer.round_finished = [&](const RoundRecord& round) { events.push_back("done " + round.label); };

  run_session(*find_backend("reference"), small_plan({}), observer);

  EXPECT_EQ(events, (std::vector<std::string>{"start reference", "uniform 0/2", "done uniform", "1.0 1/2",
                                              "done 1.0"}));
}

TEST(Session, PassesVisitRoundsInRotatedOrderAndKeepEveryIteration) {
  std::vector<std::string> events;
  SessionObserver observer;
  observer.visit_started = [&](const std::string& label, std::size_t index, std::size_t total) {
    events.push_back(label + " " + std::to_string(index) + "/" + std::to_string(total));
  };
  observer.round_finished = [&](const RoundRecord& round) { events.push_back("done " + round.label); };
  SessionPlan plan = small_plan({});
  plan.round.iterations = 7;
  plan.passes = 2;

  const auto record = run_session(*find_backend("reference"), plan, observer);

  EXPECT_EQ(events, (std::vector<std::string>{"1.0 0/4", "uniform 1/4", "uniform 2/4", "done uniform",
                                              "1.0 3/4", "done 1.0"}));
  EXPECT_EQ(record->config.passes, 2);
  for (const RoundRecord& round : record->rounds) {
    EXPECT_EQ(round.phase(Phase::dispatch)->samples_us.iterations(), 7);
    EXPECT_EQ(round.misalignment->samples_us.iterations(), 3 * 7);
  }
}

TEST(Session, RefusesMorePassesThanIterations) {
  SessionPlan plan = small_plan({});
  plan.passes = plan.round.iterations + 1;

  EXPECT_THROW(run_session(*find_backend("reference"), plan, {}), UsageError);
}

TEST(Session, AWrongResultNamesRoundTimeRankTokenAndColumn) {
  const std::string before = problem_with(0);
  // Two oracles look at two combines each before the timing, then one look at each of the three timing modes.
  const std::string during = problem_with(4);
  const std::string after = problem_with(7);

  EXPECT_EQ(before.find("round uniform, before the timing: combine: rank 2, token 3, column 7"), 0u)
      << before;
  EXPECT_EQ(during.find("round uniform, in the timing: combine: rank 2, token 3, column 7"), 0u) << during;
  EXPECT_EQ(after.find("round uniform, after the timing: combine: rank 2, token 3, column 7"), 0u) << after;
}

TEST(Session, RefusesRoundsThatDoNotShareAShape) {
  SessionPlan plan = small_plan({});
  WorkloadSpec other = small_spec();
  other.topk = 3;
  plan.rounds.push_back({"other", std::nullopt, generate(other)});

  EXPECT_THROW(run_session(*find_backend("reference"), plan, {}), UsageError);
  plan.rounds.clear();
  EXPECT_THROW(run_session(*find_backend("reference"), plan, {}), UsageError);
}

std::unique_ptr<Exchange> forward(Exchange& inner) {
  return std::make_unique<test::ForwardingExchange>(inner);
}

Record run_on(const WorldFacts& facts, std::optional<double> link_gb_per_s) {
  const test::ForwardingBackend backend(forward, facts);
  SessionPlan plan = small_plan({});
  plan.link_gb_per_s = link_gb_per_s;
  return *run_session(backend, plan, {});
}

TEST(Session, FewerDevicesThanRanksAreAnEmulationWithALinkModel) {
  WorldFacts facts;
  facts.num_devices = 1;

  const Record record = run_on(facts, std::nullopt);

  ASSERT_TRUE(record.emulation);
  EXPECT_EQ(record.emulation->num_devices, 1);
  EXPECT_EQ(record.emulation->num_ranks, 4);
  ASSERT_TRUE(record.link_assumption);
  EXPECT_EQ(record.link_assumption->gb_per_s, 450);
  EXPECT_GT(record.rounds[0].link_model.at("dispatch").bytes, 0);
}

TEST(Session, LoadsByNodeAreOfTheNodesThatWereAskedFor) {
  SessionPlan plan = small_plan({2.0});
  plan.ranks_per_node = 2;

  const Record record = *run_session(*find_backend("reference"), plan, {});

  EXPECT_EQ(nodes_of(record), (std::vector{0, 0, 1, 1}));
  const RoundRecord& round = record.rounds.back();
  ASSERT_TRUE(round.node_load);
  const auto& ranks = round.load.rank.loads;
  EXPECT_EQ(round.node_load->loads, (std::vector<std::int64_t>{ranks[0] + ranks[1], ranks[2] + ranks[3]}));
  plan.ranks_per_node = 3;
  EXPECT_THROW(run_session(*find_backend("reference"), plan, {}), UsageError);
}

TEST(Session, ARoundOverNodesIsMeasuredByItsNodes) {
  WorkloadSpec spec = small_spec();
  spec.imbalance_level = ImbalanceLevel::node;
  spec.ranks_per_node = 2;
  SessionPlan plan = small_plan({});
  plan.ranks_per_node = 2;
  plan.rounds = plan_rounds(spec, std::vector{1.5});

  const RoundRecord round = run_session(*find_backend("reference"), plan, {})->rounds.back();

  EXPECT_EQ(round.imbalance_level, "node");
  EXPECT_NEAR(realised_factor(round), 1.5, 0.02);
  EXPECT_EQ(realised_factor(round), round.node_load->factor);
}

TEST(Session, ASimulatedWorldIsMarkedAndItsFoldedPayloadNotVouchedFor) {
  WorldFacts facts;
  facts.simulation = Simulation{"a simulator", "a machine", true};

  const Record record = run_on(facts, std::nullopt);

  ASSERT_TRUE(record.simulation);
  EXPECT_EQ(record.simulation->platform, "a machine");
  EXPECT_FALSE(record.rounds[0].oracle.before);
  EXPECT_FALSE(record.rounds[0].oracle.after);
}

TEST(Session, ADeviceForEveryRankIsNoEmulation) {
  WorldFacts facts;
  facts.num_devices = 4;

  const Record record = run_on(facts, 50);

  EXPECT_FALSE(record.emulation);
  EXPECT_EQ(record.link_assumption->gb_per_s, 50);
}

TEST(Session, WithoutDevicesAModelIsMadeOnlyWhereAskedFor) {
  EXPECT_FALSE(run_on({}, std::nullopt).link_assumption);
  EXPECT_TRUE(run_on({}, std::nullopt).rounds[0].link_model.empty());
  EXPECT_EQ(run_on({}, 50).rounds[0].link_model.size(), 3u);
}

// What a backend chose decides what travels, so it is recorded and counted.
TEST(Session, ChosenVariantsAreRecordedAndCounted) {
  WorldFacts facts;
  facts.variants = {{"dispatch", "dedup"}};

  const Record record = run_on(facts, std::nullopt);

  EXPECT_EQ(record.config.variants.at("dispatch"), "dedup");
  EXPECT_EQ(record.rounds[0].bandwidth.wire_basis.at("dispatch"), "messages");
}

}  // namespace
}  // namespace epskew
