#include <fmt/format.h>

#include <set>

#include "epskew/report/session.hpp"
#include "epskew/routing/footprint.hpp"
#include "epskew/support/error.hpp"
#include "epskew/support/memory.hpp"
#include "epskew/workload/generate.hpp"
#include "epskew/workload/pattern.hpp"

namespace epskew {
namespace {

bool pattern_decides(const WorkloadSpec& spec) {
  return spec.pattern != Pattern::none && !takes_factor(spec.pattern);
}

// Loads that the spec itself decides, without a factor.
bool has_own_loads(const WorkloadSpec& spec) {
  return spec.shape || !spec.curve.empty() || pattern_decides(spec);
}

void check_factors(const WorkloadSpec& spec, std::span<const double> factors) {
  if (pattern_decides(spec) && !factors.empty()) {
    throw UsageError(
        fmt::format("--imbalance-factors and --pattern {} are both given (the pattern decides its loads "
                    "itself); drop one",
                    name_of(spec.pattern)));
  }
  std::set<double> seen;
  for (const double factor : factors) {
    if (!seen.insert(factor).second) {
      throw UsageError(
          fmt::format("--imbalance-factors has {} twice (every factor is one round); name it once",
                      factor_label(factor)));
    }
  }
}

void check_steps(const WorkloadSpec& spec, int steps) {
  if (steps < 1) throw UsageError(fmt::format("--steps {} makes no round; choose 1 or more", steps));
  if (steps > 1 && !has_steps(spec.pattern)) {
    throw UsageError(fmt::format(
        "--steps {} is given with --pattern {} (only rotating and burst differ from step to step); drop it",
        steps, name_of(spec.pattern)));
  }
}

/// All rounds are in memory at once: their tables, and the load matrices of their records.
void check_memory(const WorkloadSpec& spec, std::size_t rounds) {
  double tokens = 0;
  for (const std::int32_t count : spec.tokens_per_rank) tokens += count;
  const double round_bytes = table_bytes(tokens, spec.topk) + pair_counts_bytes(spec.num_ranks());
  require_memory(static_cast<double>(rounds) * round_bytes, fmt::format("a run of {} rounds", rounds),
                 "choose fewer factors or steps, tokens or ranks");
}

/// "3.0", of a pattern with steps "3.0 step 7"; a burst's cold step is balanced, so that is its target.
PlannedRound skewed_round(const WorkloadSpec& spec) {
  std::string label = factor_label(*spec.factor);
  if (!has_steps(spec.pattern)) return {std::move(label), spec.factor, generate(spec)};
  Workload workload = generate(spec);
  const bool cold = is_cold_step(spec);
  label += fmt::format(" step {}{}", spec.step, cold ? " cold" : "");
  return {std::move(label), cold ? 1.0 : *spec.factor, std::move(workload)};
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

std::vector<PlannedRound> plan_rounds(const WorkloadSpec& spec, std::span<const double> factors, int steps) {
  check_factors(spec, factors);
  check_steps(spec, steps);
  check_memory(spec, 2 + factors.size() * static_cast<std::size_t>(steps));
  std::vector<PlannedRound> rounds = base_rounds(spec);
  if (factors.empty() && has_own_loads(spec)) {
    Workload own = generate(spec);
    std::string label = own.distribution;
    rounds.push_back({std::move(label), std::nullopt, std::move(own)});
  }
  for (const double factor : factors) {
    if (factor == 1.0) continue;
    WorkloadSpec skewed = spec;
    skewed.factor = factor;
    skewed.shape.reset();  // a law is bent to the factor
    for (int i = 0; i < steps; ++i, ++skewed.step) rounds.push_back(skewed_round(skewed));
  }
  return rounds;
}

}  // namespace epskew
