#include "epskew/fit/fit_law.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "epskew/support/error.hpp"
#include "epskew/support/json_file.hpp"
#include "fit/bootstrap.hpp"

namespace epskew {
namespace {

const LevelFit& level_of(const FitReport& report) {
  if (report.levels.front().is_expert() || report.levels.size() == 1) return report.levels.front();
  throw UsageError(
      "--law-out has several laws to choose from (a law of ranks holds for one number of ranks); give "
      "--num-processes "
      "one number, or fit --level expert too");
}

const FamilySummary& family_of(const LevelFit& level) {
  std::vector<const FamilySummary*> by_sse;
  for (const FamilySummary& family : level.families) {
    const bool has_loads = level.pooled[static_cast<std::size_t>(family.family)].curve.front() >= 0;
    if (fit::competes(family.family) && has_loads) by_sse.push_back(&family);
  }
  EPSKEW_ASSERT(!by_sse.empty());  // uniform is always there
  return **std::min_element(by_sse.begin(), by_sse.end(),
                            [](const auto* a, const auto* b) { return a->mean_sse < b->mean_sse; });
}

nlohmann::ordered_json provenance_of(const FitReport& report, const LevelFit& level,
                                     const FamilySummary& family) {
  const auto& pooled = level.pooled[static_cast<std::size_t>(family.family)];
  nlohmann::ordered_json out = {{"fitted_to", report.source},
                                {"format", report.format},
                                {"layers", report.layers},
                                {"num_experts", report.num_experts},
                                {"places", level.places},
                                {"placement", report.placement},
                                {"mean_sse", family.mean_sse},
                                {"pooled_sse", pooled.sse},
                                {"pooled_max_error", pooled.max_error},
                                {"mean_factor", level.mean_factor},
                                {"distinguishable", level.verdict.distinguishable}};
  if (!level.is_expert()) out["num_ranks"] = level.num_ranks;
  return out;
}

}  // namespace

LawFile law_of(const FitReport& report) {
  EPSKEW_EXPECT(!report.levels.empty());
  const LevelFit& level = level_of(report);
  const FamilySummary& family = family_of(level);
  const LeastSquaresFit& pooled = level.pooled[static_cast<std::size_t>(family.family)];
  LawFile law;
  law.level = level.is_expert() ? LawLevel::expert : LawLevel::rank;
  law.family = name_of(family.family);
  const auto names = parameter_names(family.family);
  for (std::size_t p = 0; p < names.size(); ++p) law.parameters[std::string(names[p])] = pooled.parameters[p];
  if (!generator_family(family.family)) law.curve = pooled.curve;
  law.provenance = dump_json(provenance_of(report, level, family));
  return law;
}

}  // namespace epskew
