#include "epskew/report/session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "epskew/report/link_model.hpp"
#include "epskew/report/provenance.hpp"
#include "epskew/routing/digest.hpp"
#include "epskew/support/error.hpp"
#include "epskew/workload/generate.hpp"

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

ConfigRecord describe_config(const Backend& backend, const SessionPlan& plan) {
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
  config.backend = backend.name();
  config.variants = plan.options.variants;
  config.backend_facts = backend.facts();
  config.micro_batches = plan.options.micro_batches;
  config.timeout_ms = plan.options.timeout.count();
  config.iterations = plan.round.iterations;
  config.warmup = plan.round.warmup;
  config.passes = plan.passes;
  config.flush_cache = plan.round.flush_cache;
  config.clock = clock_of(config.backend_facts);
  config.distribution = plan.distribution;
  config.imbalance_factors = plan.factors;
  config.num_masked = plan.num_masked;
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

Record begin_record(const Backend& backend, const SessionPlan& plan) {
  Record record;
  record.command = plan.command;
  record.argv = plan.argv;
  record.config = describe_config(backend, plan);
  add_provenance(record);
  return record;
}

template <class Callback, class... Arguments>
void notify(const Callback& callback, Arguments&&... arguments) {
  if (callback) callback(std::forward<Arguments>(arguments)...);
}

void check_plan(const SessionPlan& plan) {
  if (plan.rounds.empty())
    throw UsageError("there is no round to run (no layer or factor was chosen); choose one");
  if (plan.passes < 1 || plan.passes > plan.round.iterations) {
    throw UsageError(fmt::format(
        "--passes {} does not fit {} iterations (every pass has at least one of them); choose 1 to {}",
        plan.passes, plan.round.iterations, plan.round.iterations));
  }
  const RoutingTable& first = plan.rounds.front().workload.table;
  for (const PlannedRound& round : plan.rounds) {
    const RoutingTable& table = round.workload.table;
    if (table.num_ranks() != first.num_ranks() || table.num_experts != first.num_experts ||
        table.topk != first.topk) {
      throw UsageError(
          fmt::format("round {} has another number of ranks, experts or experts a token than round {} (all "
                      "rounds share one exchange); run it by itself",
                      round.label, plan.rounds.front().label));
    }
  }
}

// Loads that the spec itself decides, without a factor.
bool has_own_loads(const WorkloadSpec& spec) {
  return spec.shape || !spec.curve.empty() || spec.pattern == Pattern::k_hot ||
         spec.pattern == Pattern::matrix;
}

}  // namespace

std::string factor_label(double factor) {
  std::string label = fmt::format("{}", factor);
  if (label.find_first_not_of("0123456789") == std::string::npos) label += ".0";
  return label;
}

std::vector<PlannedRound> base_rounds(const WorkloadSpec& spec) {
  WorkloadSpec plain = spec;
  plain.family = Family::uniform;
  plain.shape.reset();
  plain.curve.clear();
  plain.pattern = Pattern::none;
  plain.level = LawLevel::rank;
  plain.placement.reset();
  plain.sampling = Sampling::exact;
  plain.factor.reset();
  WorkloadSpec balanced = plain;
  balanced.factor = 1.0;
  return {{"uniform", std::nullopt, generate(plain)}, {factor_label(1.0), 1.0, generate(balanced)}};
}

std::vector<PlannedRound> plan_rounds(const WorkloadSpec& spec, std::span<const double> factors) {
  std::vector<PlannedRound> rounds = base_rounds(spec);
  if (factors.empty() && has_own_loads(spec)) {
    Workload own = generate(spec);
    std::string label = own.distribution;
    rounds.push_back({std::move(label), std::nullopt, std::move(own)});
  }
  std::set<double> seen;
  for (const double factor : factors) {
    if (!seen.insert(factor).second) {
      throw UsageError(
          fmt::format("--imbalance-factors has {} twice (every factor is one round); name it once",
                      factor_label(factor)));
    }
    if (factor == 1.0) continue;
    WorkloadSpec skewed = spec;
    skewed.factor = factor;
    rounds.push_back({factor_label(factor), factor, generate(skewed)});
  }
  return rounds;
}

ExchangeShape shape_of(const SessionPlan& plan) {
  const RoutingTable& table = plan.rounds.front().workload.table;
  ExchangeShape shape;
  shape.num_ranks = table.num_ranks();
  shape.num_experts = table.num_experts;
  shape.topk = table.topk;
  shape.hidden = plan.hidden;
  shape.max_tokens = 0;
  for (const PlannedRound& round : plan.rounds) {
    shape.max_tokens = std::max(shape.max_tokens, round.workload.table.max_tokens());
  }
  return shape;
}

// Every process makes its own routings; one made from another file would exchange nonsense.
void require_same_routings(World& world, const SessionPlan& plan) {
  std::string digests;
  for (const PlannedRound& round : plan.rounds) digests += digest(round.workload.table) + ' ';
  world.require_same("routing", digests);
}

std::optional<TopologyRecord> topology_of(const WorldFacts& facts) {
  if (facts.node_of_rank.empty()) return std::nullopt;
  TopologyRecord record{facts.hosts, facts.node_of_rank, facts.cores, facts.sockets, {}};
  for (const LinkSpeed& link : facts.links) {
    record.links.push_back({link.from, link.to, link.latency_us, link.gb_per_s});
  }
  return record;
}

/// Which round is visited as the `place`-th of `pass`: rotated, and in the last pass in the plan's order, so
/// that results come in that order.
std::size_t round_at(const SessionPlan& plan, int pass, std::size_t place) {
  return (place + static_cast<std::size_t>(plan.passes - 1 - pass)) % plan.rounds.size();
}

RoundPlan visit_of(const SessionPlan& plan, std::size_t round, int pass) {
  const auto iterations = static_cast<std::size_t>(plan.round.iterations);
  RoundPlan visit = plan.round;
  visit.label = plan.rounds[round].label;
  visit.iterations = static_cast<int>(pass_begin(iterations, plan.passes, pass + 1) -
                                      pass_begin(iterations, plan.passes, pass));
  visit.first_visit = pass == 0;
  visit.last_visit = pass == plan.passes - 1;
  return visit;
}

std::optional<Record> run_session(const Backend& backend, const SessionPlan& plan,
                                  const SessionObserver& observer) {
  check_plan(plan);
  ExchangeOptions options = plan.options;
  options.flush_cache = plan.round.flush_cache;
  const auto world = backend.make_world(shape_of(plan), options);
  const bool is_root = world->is_root();
  require_same_routings(*world, plan);
  Record record = begin_record(backend, plan);
  const WorldFacts facts = world->facts();
  record.topology = topology_of(facts);
  record.emulation = emulation_of(facts, record.config.num_ranks);
  record.link_assumption = link_assumption_of(facts, plan);
  for (const auto& [name, value] : facts.variants) {
    record.config.variants[name] = value;
    options.variants[name] = value;
  }
  if (is_root) notify(observer.started, record);
  std::vector<RoundResult> results(plan.rounds.size());
  const std::size_t visits = plan.rounds.size() * static_cast<std::size_t>(plan.passes);
  for (std::size_t i = 0; i < visits; ++i) {
    const int pass = static_cast<int>(i / plan.rounds.size());
    const std::size_t index = round_at(plan, pass, i % plan.rounds.size());
    const PlannedRound& planned = plan.rounds[index];
    if (is_root) notify(observer.visit_started, planned.label, i, visits);
    append_visit(results[index], run_round(*world, planned.workload.table, visit_of(plan, index, pass)));
    if (!is_root || pass + 1 < plan.passes) continue;
    record.config.flush_bytes = results[index].flush_bytes;
    record.rounds.push_back(make_round_record(planned, results[index], plan.hidden, options));
    if (record.topology) add_node_load(record.rounds.back(), record.topology->node_of_rank);
    if (record.link_assumption) {
      record.rounds.back().link_model =
          link_times(record.rounds.back().load, record.rounds.back().bandwidth.wire_basis, plan.hidden,
                     options, record.link_assumption->gb_per_s);
    }
    notify(observer.round_finished, record.rounds.back());
  }
  const std::vector<std::string> choices = world->facts().choices;
  if (!is_root) return std::nullopt;
  record.config.backend_facts.insert(record.config.backend_facts.end(), choices.begin(), choices.end());
  add_costs(record.rounds, plan.passes, plan.round.seed);
  return record;
}

}  // namespace epskew
