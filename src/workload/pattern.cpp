#include "epskew/workload/pattern.hpp"

#include <fmt/format.h>

#include <cmath>

#include "epskew/support/error.hpp"
#include "epskew/support/random.hpp"
#include "workload/planned_counts.hpp"
#include "workload/streams.hpp"

namespace epskew {
namespace {

void check_pattern(const WorkloadSpec& spec) {
  if (takes_factor(spec.pattern) && !spec.factor) {
    throw UsageError(
        "a hot-rank pattern has no imbalance factor (it says how hot); give one with --imbalance-factors");
  }
  if (!takes_factor(spec.pattern) && spec.factor) {
    throw UsageError(
        "an imbalance factor is given with k-hot or a matrix (they decide it themselves); leave it out");
  }
  if (spec.shape || !spec.curve.empty()) {
    throw UsageError(
        "a pattern is given together with a shape or a law (either decides the loads); leave one out");
  }
  if (spec.step < 0 || spec.burst_period < 1) {
    throw UsageError(
        fmt::format("step {} of burst period {} does not exist (steps count from 0, periods from 1); choose "
                    "others",
                    spec.step, spec.burst_period));
  }
}

std::vector<std::int64_t> even_split(std::int64_t total, std::int64_t parts) {
  std::vector<std::int64_t> split(static_cast<std::size_t>(parts));
  for (std::int64_t i = 0; i < parts; ++i)
    split[static_cast<std::size_t>(i)] = total / parts + (i < total % parts);
  return split;
}

void check_k_hot(const WorkloadSpec& spec) {
  if (spec.hot_experts < 1 || spec.hot_experts >= spec.num_experts) {
    throw UsageError(fmt::format(
        "{} hot experts are out of range (there are {} experts and some must be cold); choose 1 to {}",
        spec.hot_experts, spec.num_experts, spec.num_experts - 1));
  }
  if (!(spec.hot_fraction >= 0.0 && spec.hot_fraction <= 1.0)) {
    throw UsageError(
        fmt::format("the hot fraction {:g} is out of range (it is a share of selections); choose 0 to 1",
                    spec.hot_fraction));
  }
}

}  // namespace

WorkloadSpec resolve_pattern(const WorkloadSpec& spec) {
  if (spec.pattern == Pattern::none) return spec;
  check_pattern(spec);
  WorkloadSpec resolved = spec;
  resolved.family = Family::uniform;
  resolved.level = LawLevel::rank;
  if (spec.pattern == Pattern::skew_across_nodes) resolved.imbalance_level = ImbalanceLevel::node;
  if (spec.pattern == Pattern::rotating) {
    resolved.hot_rank = (rank_order(spec).front() + spec.step % spec.num_ranks()) % spec.num_ranks();
  }
  if (is_cold_step(spec)) resolved.factor = 1.0;
  return resolved;
}

PlannedCounts plan_k_hot(const WorkloadSpec& spec, const Capacity& capacity) {
  check_k_hot(spec);
  const std::int64_t selections = capacity.selections();
  const std::int64_t hot = std::llround(spec.hot_fraction * static_cast<double>(selections));
  std::vector<std::int64_t> counts = even_split(hot, spec.hot_experts);
  const std::vector<std::int64_t> cold = even_split(selections - hot, spec.num_experts - spec.hot_experts);
  counts.insert(counts.end(), cold.begin(), cold.end());
  if (!capacity.can_deal(counts)) {
    const auto most = static_cast<double>(capacity.of_experts(spec.hot_experts));
    const auto rest = static_cast<double>(capacity.of_experts(spec.num_experts - spec.hot_experts));
    const auto all = static_cast<double>(selections);
    throw UsageError(fmt::format(
        "the hot fraction {:g} is out of reach ({} hot of {} experts can take {:.4f} to {:.4f} of "
        "the selections at top-{}); choose one between",
        spec.hot_fraction, spec.hot_experts, spec.num_experts, std::ceil((1.0 - rest / all) * 1e4) / 1e4,
        std::floor(most / all * 1e4) / 1e4, spec.topk));
  }
  const Placement placement =
      spec.placement ? *spec.placement : random_placement(spec.num_experts, spec.seed);
  validate(placement, spec.num_experts, "--placement");
  PlannedCounts planned{std::vector<std::int64_t>(counts.size()),
                        std::string(name_of(Pattern::k_hot)),
                        {{"hot_experts", spec.hot_experts}, {"hot_fraction", spec.hot_fraction}}};
  for (std::size_t i = 0; i < counts.size(); ++i) {
    planned.experts[static_cast<std::size_t>(placement.slot_of_expert[i])] = counts[i];
  }
  return planned;
}

}  // namespace epskew
