#include "epskew/workload/generate.hpp"

#include "epskew/support/error.hpp"
#include "workload/bound.hpp"
#include "workload/capacity.hpp"
#include "workload/deal.hpp"
#include "workload/law.hpp"
#include "workload/matrix.hpp"
#include "workload/multinomial.hpp"
#include "workload/planned_counts.hpp"
#include "workload/rows.hpp"
#include "workload/spec_check.hpp"
#include "workload/uniform.hpp"

namespace epskew {
namespace {

bool has_law(const WorkloadSpec& spec) {
  return spec.factor || spec.shape || !spec.curve.empty();
}

std::string_view name_of(Pattern pattern) {
  switch (pattern) {
    case Pattern::hot_rank:
      return "hot_rank";
    case Pattern::k_hot:
      return "k_hot";
    case Pattern::rotating:
      return "rotating";
    case Pattern::burst:
      return "burst";
    case Pattern::matrix:
      return "matrix";
    case Pattern::none:
      break;
  }
  return "";
}

PlannedCounts plan(const WorkloadSpec& spec, const Capacity& capacity) {
  if (spec.pattern == Pattern::k_hot) return plan_k_hot(spec, capacity);
  return spec.level == LawLevel::rank ? plan_rank_level(spec, capacity) : plan_expert_level(spec, capacity);
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
    const PlannedCounts planned = plan(spec, capacity);
    deal(rows, planned.experts, spec.seed);
    workload.distribution = planned.distribution;
    workload.parameters = planned.parameters;
  }
}

}  // namespace

Workload generate(const WorkloadSpec& asked) {
  check_shape(asked);
  const WorkloadSpec spec = resolve_pattern(asked);
  const std::vector<std::uint8_t> degrees = degrees_after_masking(spec);
  const Capacity capacity(degrees, spec.topk);
  Workload workload;
  workload.seed = spec.seed;
  workload.feasible_max = feasible_factor(spec, capacity);
  workload.uniform_floor = uniform_floor(spec, capacity.selections());
  workload.table = empty_table(spec.num_experts, spec.topk, spec.tokens_per_rank);
  route(spec, {workload.table.topk_idx, degrees, spec.topk}, capacity, workload);
  if (spec.pattern != Pattern::none) workload.distribution = name_of(spec.pattern);
  finish_rows(workload.table, degrees, spec.seed);
  return workload;
}

}  // namespace epskew
