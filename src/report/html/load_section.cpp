#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "epskew/workload/family.hpp"
#include "report/html/sections.hpp"

namespace epskew {
namespace {

constexpr std::size_t most_rows =
    6000;  // of a table inside the page; beyond, only the hottest round is shown

/// The family's quantile curve scaled to these loads, largest first. Empty where the round has no family, or
/// where its law was applied at the other level (ranks or experts), which shows in a maximum that is not the
/// curve's.
std::vector<double> law_curve(const WorkloadRecord& workload, const LoadMetrics& load) {
  const auto family = find_family(workload.distribution);
  if (!family || load.loads.size() < 2) return {};
  const auto shape = workload.parameters.find(std::string(shape_name(*family)));
  // No generator writes another one, but the file may have been changed; a curve has no use for it.
  if (shape == workload.parameters.end() || !(shape->second > 0) || !std::isfinite(shape->second)) return {};
  std::vector<double> curve = load_curve(*family, shape->second, static_cast<int>(load.loads.size()));
  std::reverse(curve.begin(), curve.end());
  for (double& value : curve) value *= load.mean;
  const double rounding = std::max(1.0, 0.005 * static_cast<double>(load.max));
  // Written so that a curve of which nothing is left (NaN) fails as well.
  if (!(std::abs(curve.front() - static_cast<double>(load.max)) <= rounding)) return {};
  return curve;
}

void add_rows(const NamedRecord& result, const RoundRecord& round, const LoadMetrics& load, Table& table) {
  std::vector<std::size_t> order(load.loads.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return load.loads[a] > load.loads[b]; });
  const std::vector<double> curve = law_curve(round.workload, load);
  for (std::size_t i = 0; i < order.size(); ++i) {
    table.rows.push_back({words(result.name), words(round_name(round)),
                          integer(static_cast<std::int64_t>(i) + 1),
                          integer(static_cast<std::int64_t>(order[i])), integer(load.loads[order[i]]),
                          curve.empty() ? amount(std::nullopt) : decimal(curve[i], 1), amount(load.mean)});
  }
}

using LoadOf = std::function<const LoadMetrics&(const RoundRecord&)>;

Table load_table(Results results, const std::string& place, const LoadOf& load_of) {
  Table table;
  table.caption = fmt::format("Loads of {}s, largest first", place);
  table.columns = {"result", "round", "position", place, "selections", "law", "mean"};
  std::size_t rows = 0;
  for_each_round(results, [&](const RoundSource&, const NamedRecord&, const RoundRecord& round) {
    rows += load_of(round).loads.size();
  });
  std::set<std::string> shown;  // results on the same routing have the same loads
  for_each_round(results,
                 [&](const RoundSource& source, const NamedRecord& result, const RoundRecord& round) {
                   if (rows > most_rows && source.round != hottest_round(result.record)) return;
                   if (shown.insert(round.workload.digest).second)
                     add_rows(result, round, load_of(round), table);
                 });
  if (rows > most_rows) table.caption += " (hottest round only)";
  return table;
}

Figure load_figure(Results results, const std::string& place, const LoadOf& load_of) {
  Figure figure;
  figure.id = place + "-load-plot";
  figure.title = fmt::format("Selections of every {}, largest first", place);
  figure.note = fmt::format(
      "Bars: what the {}s receive, after masking. Line: the law's quantile curve, where a law was applied to "
      "{}s. "
      "Dotted: the mean.",
      place, place);
  figure.table = load_table(results, place, load_of);
  const bool has_law = std::any_of(figure.table.rows.begin(), figure.table.rows.end(),
                                   [](const std::vector<Value>& row) { return !row[5].missing; });
  figure.plot = {{"kind", "sorted"},
                 {"roles", {{"x", "position"}, {"bar", "selections"}, {"mean", "mean"}, {"facet", "round"}}},
                 {"curves", has_law ? nlohmann::json::array({"law"}) : nlohmann::json::array()},
                 {"select", {"result"}},
                 {"xTitle", place + "s, from the largest load"},
                 {"yTitle", "selections"}};
  drop_single_result(results, figure.table);
  return figure;
}

}  // namespace

Section load_section(Results results) {
  return {"load",
          "Load",
          "How many (token, expert) selections each rank and each expert was given.",
          {load_figure(results, "rank",
                       [](const RoundRecord& round) -> const LoadMetrics& { return round.load.rank; }),
           load_figure(results, "expert",
                       [](const RoundRecord& round) -> const LoadMetrics& { return round.load.expert; })}};
}

}  // namespace epskew
