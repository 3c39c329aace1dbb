#include "epskew/workload/generate.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "epskew/support/error.hpp"
#include "epskew/workload/pattern.hpp"
#include "epskew/workload/spec_check.hpp"
#include "workload/bound.hpp"
#include "workload/capacity.hpp"
#include "workload/deal.hpp"
#include "workload/expert_loads.hpp"
#include "workload/group_deal.hpp"
#include "workload/law.hpp"
#include "workload/matrix.hpp"
#include "workload/multinomial.hpp"
#include "workload/node_level.hpp"
#include "workload/planned_counts.hpp"
#include "workload/rows.hpp"
#include "workload/uniform.hpp"

namespace epskew {
namespace {

bool has_law(const WorkloadSpec& spec) {
  return spec.factor || spec.shape || !spec.curve.empty();
}

PlannedCounts plan(const WorkloadSpec& spec, const Capacity& capacity, double evenness) {
  if (spec.pattern == Pattern::k_hot) return plan_k_hot(spec, capacity);
  if (spec.pattern == Pattern::skew_in_nodes) return plan_skew_in_nodes(spec, capacity);
  if (spec.level == LawLevel::rank) return plan_rank_level(spec, capacity, evenness);
  return plan_expert_level(spec, capacity);
}

/// Deals a plan under group-limited top-k, with experts cut lower and lower inside their ranks until it goes;
/// the ranks' loads stay. k_hot's experts are what was asked for, so they are not cut.
bool deal_plan_grouped(const Rows& rows, const WorkloadSpec& spec, PlannedCounts& planned) {
  if (deal_grouped(rows, spec, planned.experts, spec.seed)) return true;
  if (spec.pattern == Pattern::k_hot) return false;
  const std::size_t experts_per_rank = planned.experts.size() / static_cast<std::size_t>(spec.num_ranks());
  std::vector<std::int64_t> ranks(static_cast<std::size_t>(spec.num_ranks()), 0);
  for (std::size_t i = 0; i < planned.experts.size(); ++i) ranks[i / experts_per_rank] += planned.experts[i];
  const std::vector<double> weights(planned.experts.begin(), planned.experts.end());
  const std::int64_t tallest = *std::max_element(planned.experts.begin(), planned.experts.end());
  for (const std::int64_t height : {tallest / 2, tallest / 4, tallest / 8, std::int64_t{0}}) {
    planned.experts = expert_loads_below(height, ranks, weights);
    if (deal_grouped(rows, spec, planned.experts, spec.seed)) return true;
  }
  return false;
}

/// Group-limited top-k. A law over ranks gives way to equal loads of the other ranks as far as the groups
/// demand.
PlannedCounts route_grouped(const WorkloadSpec& spec, const Rows& rows, const Capacity& capacity) {
  for (const double evenness : {0.0, 0.5, 1.0}) {
    PlannedCounts planned = plan(spec, capacity, evenness);
    if (deal_plan_grouped(rows, spec, planned)) return planned;
    if (spec.level == LawLevel::expert || spec.pattern == Pattern::k_hot) break;
  }
  throw UsageError(
      fmt::format("these loads are out of reach under group-limited top-k (a token reaches {} of {} groups "
                  "of {} experts; one rank "
                  "can take at most a factor of {:.2f}, and few tokens cannot spread evenly); choose another "
                  "factor, more groups a "
                  "token or more tokens",
                  spec.topk_groups, spec.num_groups, spec.num_experts / spec.num_groups,
                  feasible_factor(spec, capacity)));
}

/// Fills the rows and says in `workload` what they follow.
void route(const WorkloadSpec& spec, const Rows& rows, const Capacity& capacity, Workload& workload) {
  if (spec.pattern == Pattern::matrix) {
    deal_matrix(rows, spec);
  } else if (spec.pattern == Pattern::none && !has_law(spec)) {
    draw_uniform(rows, spec);
    workload.distribution = "uniform";
  } else if (spec.sampling == Sampling::multinomial && spec.pattern == Pattern::none) {
    const Law law = draw_multinomial(rows, spec, capacity);
    workload.distribution = law.name();
    workload.parameters = law.parameters();
  } else {
    const PlannedCounts planned =
        limits_groups(spec) ? route_grouped(spec, rows, capacity) : plan(spec, capacity, 0.0);
    if (!limits_groups(spec)) deal(rows, planned.experts, spec.seed);
    workload.distribution = planned.distribution;
    workload.parameters = planned.parameters;
  }
}

/// Whether loads come from experts on a placement.
bool is_placed(const WorkloadSpec& spec) {
  return spec.level == LawLevel::expert && spec.pattern == Pattern::none && spec.sampling == Sampling::exact;
}

/// What the shape allows, whatever the law.
double shape_bound(const WorkloadSpec& spec, const Capacity& capacity) {
  return spec.pattern == Pattern::skew_in_nodes ? feasible_skew_in_nodes(spec, capacity)
                                                : feasible_factor(factor_places(spec), capacity);
}

}  // namespace

double reachable_factor(const WorkloadSpec& asked) {
  WorkloadSpec spec = asked;
  spec.factor.reset();
  check_shape(spec);
  const std::vector<std::uint8_t> degrees = degrees_after_masking(spec);
  const Capacity capacity(degrees, spec.topk);
  if (spec.pattern == Pattern::skew_across_nodes) spec.imbalance_level = ImbalanceLevel::node;
  const double feasible = shape_bound(spec, capacity);
  return is_placed(spec) ? std::min(feasible, placed_factor(spec, capacity)) : feasible;
}

Workload generate(const WorkloadSpec& asked) {
  check_shape(asked);
  const WorkloadSpec spec = resolve_pattern(asked);
  const std::vector<std::uint8_t> degrees = degrees_after_masking(spec);
  const Capacity capacity(degrees, spec.topk);
  Workload workload;
  workload.seed = spec.seed;
  const WorkloadSpec places = factor_places(spec);
  workload.imbalance_level = spec.imbalance_level;
  workload.feasible_max = shape_bound(spec, capacity);
  workload.uniform_floor = uniform_floor(places, capacity.selections());
  workload.table = empty_table(spec.num_experts, spec.topk, spec.tokens_per_rank);
  route(spec, {workload.table.topk_idx, degrees, spec.topk}, capacity, workload);
  if (spec.pattern != Pattern::none) workload.distribution = name_of(spec.pattern);
  if (has_steps(spec.pattern)) workload.parameters["step"] = spec.step;
  if (spec.pattern == Pattern::burst) workload.parameters["burst_period"] = spec.burst_period;
  finish_rows(workload.table, degrees, spec.seed);
  return workload;
}

}  // namespace epskew
