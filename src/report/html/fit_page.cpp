#include <fmt/format.h>
#include <fmt/ranges.h>

#include "epskew/report/html.hpp"
#include "report/html/fit_sections.hpp"
#include "report/html/shell.hpp"
#include "report/html/write_page.hpp"

namespace epskew {
namespace {

Section fit_provenance(const FitReport& report, const FitRun& run) {
  FactList list;
  list.command = command_line(run.argv);
  list.facts = {
      {"made", run.created + " by epskew " + run.tool_version},
      {"recording", report.source},
      {"format", report.format},
      {"layers", fmt::format("{}", fmt::join(report.layers, " "))},
      {"placement", report.placement},
      {"bootstrap", report.options.bootstrap
                        ? fmt::format("{} resamples, seed {}", report.options.bootstrap, report.options.seed)
                        : "off: no intervals, verdicts or p-values"},
      {"schema version", fit_schema_version}};
  for (const std::string& note : report.notes) list.facts.push_back({"note", note});
  return {"provenance", "Provenance", "", {}, {}, {std::move(list)}};
}

}  // namespace

std::string fit_page(const FitReport& report, const FitRun& run) {
  Page page;
  page.title = "epskew fit: " + report.source;
  page.eyebrow =
      fmt::format("epskew fit · {} · {} layers · {} experts{}", report.source, report.layers.size(),
                  report.num_experts, report.topk ? fmt::format(" · top-{}", report.topk) : "");
  page.headline = {words(report.levels.empty() ? "Nothing was fitted" : report.levels.front().conclusion)};
  for (std::size_t i = 1; i < report.levels.size(); ++i) {
    page.support.push_back({words(report.levels[i].conclusion)});
  }
  page.sections = {curve_section(report),  family_section(report), pooling_section(report),
                   window_section(report), layer_section(report),  fit_provenance(report, run)};
  return write_page(page);
}

}  // namespace epskew
