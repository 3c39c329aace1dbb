#include "epskew/report/session.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "epskew/report/recording.hpp"
#include "epskew/routing/digest.hpp"
#include "epskew/support/error.hpp"

namespace epskew {
namespace {

template <class Callback, class... Arguments>
void notify(const Callback& callback, Arguments&&... arguments) {
  if (callback) callback(std::forward<Arguments>(arguments)...);
}

/// Which round is visited as the `place`-th of `pass`: rotated, and in the last pass in the plan's order, so
/// that results come in that order.
std::size_t round_at(const SessionPlan& plan, int pass, std::size_t place) {
  return (place + static_cast<std::size_t>(plan.passes - 1 - pass)) % plan.rounds.size();
}

RoundPlan plan_of_visit(const SessionPlan& plan, std::size_t round, int pass) {
  const auto iterations = static_cast<std::size_t>(plan.round.iterations);
  RoundPlan visit = plan.round;
  visit.label = plan.rounds[round].label;
  visit.iterations = static_cast<int>(pass_begin(iterations, plan.passes, pass + 1) -
                                      pass_begin(iterations, plan.passes, pass));
  visit.first_visit = pass == 0;
  visit.last_visit = pass == plan.passes - 1;
  return visit;
}

}  // namespace

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

void validate(const SessionPlan& plan) {
  if (plan.rounds.empty())
    throw UsageError("there is no round to run (no layer or factor was chosen); choose one");
  if (plan.passes < 1 || plan.passes > plan.round.iterations) {
    throw UsageError(fmt::format(
        "--passes {} does not fit {} iterations (every pass has at least one of them); choose 1 to {}",
        plan.passes, plan.round.iterations, plan.round.iterations));
  }
  const RoutingTable& first = plan.rounds.front().workload.table;
  if (plan.ranks_per_node > 0 && first.num_ranks() % plan.ranks_per_node != 0) {
    throw UsageError(
        fmt::format("--ranks-per-node {} does not divide {} ranks (nodes are of one size); choose a divisor",
                    plan.ranks_per_node, first.num_ranks()));
  }
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

std::vector<Visit> visits_of(const SessionPlan& plan) {
  std::vector<Visit> visits;
  for (int pass = 0; pass < plan.passes; ++pass) {
    for (std::size_t place = 0; place < plan.rounds.size(); ++place) {
      const std::size_t round = round_at(plan, pass, place);
      visits.push_back({round, pass, plan_of_visit(plan, round, pass)});
    }
  }
  return visits;
}

std::optional<Record> run_session(const Backend& backend, const SessionPlan& plan,
                                  const SessionObserver& observer) {
  validate(plan);
  ExchangeOptions options = plan.options;
  options.flush_cache = plan.round.flush_cache;
  const auto world = backend.make_world(shape_of(plan), options);
  const bool is_root = world->is_root();
  require_same_routings(*world, plan);
  Recording recording(plan, {std::string(backend.name()), backend.facts(), world->facts(), std::nullopt});
  if (is_root) notify(observer.started, recording.record());
  const std::vector<Visit> visits = visits_of(plan);
  for (std::size_t i = 0; i < visits.size(); ++i) {
    const Visit& visit = visits[i];
    if (is_root) notify(observer.visit_started, visit.plan.label, i, visits.size());
    RoundResult result = run_round(*world, plan.rounds[visit.round].workload.table, visit.plan);
    const std::optional<WireCopies> copies = world->facts().copies;
    if (!is_root) continue;
    if (const RoundRecord* round = recording.add(visit, std::move(result), {"passed", "passed"}, copies))
      notify(observer.round_finished, *round);
  }
  const std::vector<std::string> choices = world->facts().choices;
  if (!is_root) return std::nullopt;
  return std::move(recording).finish(choices);
}

}  // namespace epskew
