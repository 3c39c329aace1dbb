#include <fmt/format.h>

#include <algorithm>

#include "report/html/fit_sections.hpp"

namespace epskew {
namespace {

std::string window_name(const WindowFit& window) {
  return fmt::format("{}, {} × {} tokens", window.expert ? "experts" : "ranks", window.num_ranks,
                     window.tokens_per_rank);
}

/// The family with the lowest mean SSE among those that compete (at most two parameters).
std::string best_family(const std::vector<FamilySummary>& families) {
  const FamilySummary* best = nullptr;
  for (const FamilySummary& family : families) {
    if (parameter_names(family.family).size() > 2) continue;
    if (!best || family.mean_sse < best->mean_sse) best = &family;
  }
  return best ? std::string(name_of(best->family)) : "";
}

}  // namespace

Section window_section(const FitReport& report) {
  Section section{"windows", "Batches", "", {}};
  if (report.windows.empty()) {
    section.lead = "Not in this fit: windows need a recording of tokens, and a batch size.";
    return section;
  }
  Figure out;
  out.id = "window-plot";
  out.title = "Imbalance factor of single batches";
  out.note =
      "Median over windows of consecutive tokens, with the 10th to 90th percentile, beside the mean that "
      "uniform random "
      "routing of as many tokens would have: only what exceeds it is skew of the model.";
  out.plot = {
      {"kind", "bars"},
      {"roles",
       {{"category", "window"}, {"value", "factor"}, {"lo", "p10"}, {"hi", "p90"}, {"series", "routing"}}},
      {"baseline", 1},
      {"xTitle", "imbalance factor"}};
  out.table.caption = "Imbalance factor by batch";
  out.table.columns = {"window",  "routing",     "factor",           "p10",       "p90",
                       "windows", "equal loads", "tokens left over", "lowest SSE"};
  for (const WindowFit& window : report.windows) {
    out.table.rows.push_back({words(window_name(window)), words("recorded"), figure(window.factor.p50),
                              figure(window.factor.p10), figure(window.factor.p90), integer(window.windows),
                              integer(window.flat_windows), integer(window.tokens_left_over),
                              words(best_family(window.families))});
    out.table.rows.push_back({words(window_name(window)), words("uniform random"), figure(window.floor),
                              amount(std::nullopt), amount(std::nullopt), amount(std::nullopt),
                              amount(std::nullopt), amount(std::nullopt), amount(std::nullopt)});
  }
  section.figures.push_back(std::move(out));
  return section;
}

Section layer_section(const FitReport& report) {
  Table table;
  table.caption = "Layers: the family with the lowest SSE, and whether it can be told from the others";
  table.columns = {"level", "layer",        "selections", "factor",     "CV",     "lowest SSE of",
                   "SSE",   "error of max", "KS",         "KS p-value", "reading"};
  for (const LevelFit& level : report.levels) {
    for (const LayerFit& layer : level.layers) {
      const auto families = law_families();
      const auto index = std::find(families.begin(), families.end(), layer.verdict.best) - families.begin();
      const FamilyFit& best = layer.fits[static_cast<std::size_t>(index)];
      const Value missing = amount(std::nullopt);
      table.rows.push_back(
          {words(level_name(level)), integer(layer.layer), integer(layer.selections), figure(layer.factor),
           figure(layer.cv), words(std::string(name_of(layer.verdict.best))), figure(best.least_squares.sse),
           figure(best.least_squares.max_error), best.likelihood ? figure(best.likelihood->ks) : missing,
           best.ks_p ? figure(*best.ks_p) : missing,
           words(layer.verdict.distinguishable ? "distinguishable"
                                               : "not distinguishable: " + layer.verdict.reason)});
    }
  }
  return {"layers",
          "Layers",
          "Every family's parameters and likelihoods, layer by layer, are in the file of --json.",
          {},
          {std::move(table)}};
}

}  // namespace epskew
