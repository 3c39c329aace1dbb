#include "epskew/report/recording.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "epskew/report/link_model.hpp"
#include "epskew/report/provenance.hpp"

namespace epskew {
namespace {

// A backend with a clock of its own says so among its facts, "clock: name".
ClockRecord clock_of(const std::vector<std::string>& facts) {
  constexpr std::string_view key = "clock: ";
  for (const std::string& fact : facts) {
    if (fact.starts_with(key)) return {fact.substr(key.size()), std::nullopt};
  }
  return describe_steady_clock();
}

std::vector<std::int32_t> most_tokens(const std::vector<PlannedRound>& rounds) {
  std::vector<std::int32_t> tokens(rounds.front().workload.table.tokens_per_rank.size());
  for (const PlannedRound& round : rounds) {
    const auto& mine = round.workload.table.tokens_per_rank;
    for (std::size_t rank = 0; rank < tokens.size(); ++rank)
      tokens[rank] = std::max(tokens[rank], mine.at(rank));
  }
  return tokens;
}

ConfigRecord describe_config(const Runner& runner, const SessionPlan& plan) {
  const ExchangeShape shape = shape_of(plan);
  ConfigRecord config;
  config.num_ranks = shape.num_ranks;
  config.num_experts = shape.num_experts;
  config.topk = shape.topk;
  config.hidden = shape.hidden;
  config.max_tokens = shape.max_tokens;
  config.tokens_per_rank = most_tokens(plan.rounds);
  config.dispatch_format = name_of(plan.options.dispatch);
  config.combine_format = name_of(plan.options.combine);
  config.backend = runner.backend;
  config.variants = plan.options.variants;
  config.backend_facts = runner.facts;
  config.micro_batches = plan.options.micro_batches;
  config.timeout_ms = plan.options.timeout.count();
  config.iterations = plan.round.iterations;
  config.warmup = plan.round.warmup;
  config.passes = plan.passes;
  config.flush_cache = plan.round.flush_cache;
  config.clock = runner.clock ? *runner.clock : clock_of(config.backend_facts);
  config.distribution = plan.distribution;
  config.imbalance_factors = plan.factors;
  config.num_masked = plan.num_masked;
  if (plan.ranks_per_node > 0) config.ranks_per_node = plan.ranks_per_node;
  config.seed = plan.round.seed;
  config.trace = plan.trace;
  return config;
}

std::optional<EmulationRecord> emulation_of(const WorldFacts& facts, int num_ranks) {
  if (facts.num_devices == 0 || facts.num_devices >= num_ranks) return std::nullopt;
  return EmulationRecord{facts.num_devices, num_ranks};
}

std::optional<LinkAssumptionRecord> link_assumption_of(const WorldFacts& facts, const SessionPlan& plan) {
  if (plan.link_gb_per_s) return LinkAssumptionRecord{*plan.link_gb_per_s, "as given (--link-bandwidth)"};
  if (facts.num_devices == 0) return std::nullopt;
  return LinkAssumptionRecord{nvlink_gb_per_s, nvlink_source};
}

Record begin_record(const Runner& runner, const SessionPlan& plan) {
  Record record;
  record.command = plan.command;
  record.argv = plan.argv;
  record.config = describe_config(runner, plan);
  add_provenance(record);
  return record;
}

std::optional<TopologyRecord> topology_of(const WorldFacts& facts) {
  if (facts.node_of_rank.empty()) return std::nullopt;
  TopologyRecord record{facts.hosts, facts.node_of_rank, facts.cores, facts.sockets, {}};
  for (const LinkSpeed& link : facts.links) {
    record.links.push_back({link.from, link.to, link.latency_us, link.gb_per_s});
  }
  return record;
}

bool is_wrong(const std::optional<std::string>& verdict) {
  return verdict && *verdict != "passed";
}

/// The worst of a round's visits stands: a wrong result, else one that was not checked.
void add_verdict(std::optional<std::string>& verdict, const std::optional<std::string>& given) {
  if (!is_wrong(verdict) && given != "passed") verdict = given;
}

}  // namespace

Recording::Recording(const SessionPlan& plan, const Runner& runner)
    : plan_(plan),
      options_(plan.options),
      copies_(runner.world.copies),
      record_(begin_record(runner, plan)),
      results_(plan.rounds.size()),
      verdicts_(plan.rounds.size(), OracleRecord{"passed", "passed"}) {
  record_.topology = topology_of(runner.world);
  record_.emulation = emulation_of(runner.world, record_.config.num_ranks);
  if (runner.world.simulation) {
    const Simulation& simulation = *runner.world.simulation;
    record_.simulation =
        SimulationRecord{simulation.simulator, simulation.platform, simulation.payload_folded};
  }
  record_.link_assumption = link_assumption_of(runner.world, plan);
  for (const auto& [name, value] : runner.world.variants) {
    record_.config.variants[name] = value;
    options_.variants[name] = value;
  }
}

const RoundRecord* Recording::add(const Visit& visit, RoundResult result, const OracleRecord& oracle,
                                  std::optional<WireCopies> copies) {
  OracleRecord& verdict = verdicts_[visit.round];
  add_verdict(verdict.before, oracle.before);
  add_verdict(verdict.after, oracle.after);
  append_visit(results_[visit.round], std::move(result));
  if (!visit.plan.last_visit) return nullptr;
  const RoundResult& whole = results_[visit.round];
  record_.config.flush_bytes = whole.flush_bytes;
  record_.rounds.push_back(
      make_round_record(plan_.rounds[visit.round], whole, plan_.hidden, options_, copies ? copies : copies_));
  RoundRecord& round = record_.rounds.back();
  round.oracle = verdict;
  if (record_.simulation && record_.simulation->payload_folded) round.oracle = {};
  const std::vector<int> nodes = nodes_of(record_);
  if (!nodes.empty()) add_node_load(round, nodes);
  if (record_.link_assumption) {
    round.link_model = link_times(round.load, round.bandwidth.wire_basis, plan_.hidden, options_,
                                  record_.link_assumption->gb_per_s);
  }
  return &round;
}

Record Recording::finish(const std::vector<std::string>& choices) && {
  auto& facts = record_.config.backend_facts;
  facts.insert(facts.end(), choices.begin(), choices.end());
  add_costs(record_.rounds, plan_.passes, plan_.round.seed);
  return std::move(record_);
}

}  // namespace epskew
