#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "report/html/fit_sections.hpp"

namespace epskew {
namespace {

// A table inside the page; with more layers than fit, the least, the middle and the most skewed stand for
// all.
constexpr std::size_t most_layer_rows = 3500;
constexpr std::size_t curves_a_layer = 4;

/// Families by rising mean SSE over the layers of a level.
std::vector<std::size_t> families_by_sse(const LevelFit& level) {
  std::vector<std::size_t> order(level.families.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return level.families[a].mean_sse < level.families[b].mean_sse;
  });
  return order;
}

/// The order of all levels together, so that a colour means one family on the whole page.
std::vector<std::size_t> families_by_sse(const FitReport& report) {
  return report.levels.empty() ? std::vector<std::size_t>{} : families_by_sse(report.levels.front());
}

nlohmann::json names(const std::vector<std::size_t>& families, std::size_t most) {
  nlohmann::json out = nlohmann::json::array();
  for (std::size_t i = 0; i < std::min(most, families.size()); ++i)
    out.push_back(name_of(law_families()[families[i]]));
  return out;
}

/// Rows of one set of loads, largest first: `lead`, position, recorded load, each family's curve.
void add_curves(const std::vector<Value>& lead, const std::vector<double>& loads,
                const std::vector<const std::vector<double>*>& curves, Table& table) {
  for (std::size_t position = 0; position < loads.size(); ++position) {
    const std::size_t place = loads.size() - 1 - position;
    std::vector<Value> row = lead;
    row.push_back(integer(static_cast<std::int64_t>(position) + 1));
    row.push_back(figure(loads[place]));
    for (const auto* curve : curves) row.push_back(figure((*curve)[place]));
    table.rows.push_back(std::move(row));
  }
}

Figure pooled_figure(const FitReport& report) {
  const std::vector<std::size_t> order = families_by_sse(report);
  Figure out;
  out.id = "pooled-plot";
  out.title = "Recorded loads against every family, all layers together";
  out.note =
      "Bars: the mean over layers of the sorted loads, in units of the mean load, so the first bar is the "
      "imbalance "
      "factor. Lines: each family with the parameters that fit all layers best; the legend is in order of "
      "SSE.";
  out.plot = {{"kind", "sorted"},
              {"roles", {{"x", "position"}, {"bar", "recorded"}, {"facet", "level"}}},
              {"curves", names(order, order.size())},
              {"ownScale", true},
              {"wide", true},
              {"height", 300},
              {"xTitle", "from the largest load"},
              {"yTitle", "load / mean load"}};
  out.table.caption = "Mean sorted loads and pooled laws";
  out.table.columns = {"level", "position", "recorded"};
  for (const std::size_t family : order) out.table.columns.emplace_back(name_of(law_families()[family]));
  for (const LevelFit& level : report.levels) {
    std::vector<const std::vector<double>*> curves;
    for (const std::size_t family : order) curves.push_back(&level.pooled[family].curve);
    add_curves({words(level_name(level))}, level.mean_loads, curves, out.table);
  }
  return out;
}

/// Indices of the layers that are shown: all, or the least, the middle and the most skewed.
std::vector<std::size_t> shown_layers(const LevelFit& level, bool all) {
  std::vector<std::size_t> order(level.layers.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (all || order.size() <= 3) return order;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return level.layers[a].factor < level.layers[b].factor;
  });
  return {order.front(), order[order.size() / 2], order.back()};
}

Figure layer_figure(const FitReport& report) {
  const std::vector<std::size_t> order = families_by_sse(report);
  const std::size_t shown = std::min(curves_a_layer, order.size());
  std::size_t rows = 0;
  for (const LevelFit& level : report.levels)
    rows += level.layers.size() * static_cast<std::size_t>(level.places);
  const bool all = rows <= most_layer_rows;
  Figure out;
  out.id = "layer-plot";
  out.title = "Recorded loads against fitted curves, layer by layer";
  out.note = fmt::format(
      "Bars: sorted loads of a layer. Lines: the {} families with the least SSE, fitted to this layer.{}",
      shown, all ? "" : " Of every level, the least, the middle and the most skewed layer.");
  out.plot = {{"kind", "sorted"},
              {"roles", {{"x", "position"}, {"bar", "recorded"}, {"facet", "layer"}}},
              {"curves", names(order, shown)},
              {"select", {"level"}},
              {"xTitle", "from the largest load"},
              {"yTitle", "load / mean load"}};
  out.table.caption = "Sorted loads of layers and fitted laws";
  out.table.columns = {"level", "layer", "position", "recorded"};
  for (std::size_t i = 0; i < shown; ++i) out.table.columns.emplace_back(name_of(law_families()[order[i]]));
  for (const LevelFit& level : report.levels) {
    for (const std::size_t index : shown_layers(level, all)) {
      const LayerFit& layer = level.layers[index];
      std::vector<const std::vector<double>*> curves;
      for (std::size_t i = 0; i < shown; ++i) curves.push_back(&layer.fits[order[i]].least_squares.curve);
      add_curves({words(level_name(level)), words(fmt::format("layer {}", layer.layer))}, layer.loads, curves,
                 out.table);
    }
  }
  return out;
}

}  // namespace

std::string level_name(const LevelFit& level) {
  return level.is_expert() ? "experts" : fmt::format("{} ranks", level.num_ranks);
}

Value figure(double value) {
  return {fmt::format("{:.4g}", value), std::stod(fmt::format("{:.6g}", value))};
}

Section curve_section(const FitReport& report) {
  return {"curves", "Recorded against fitted", "", {pooled_figure(report), layer_figure(report)}};
}

Section family_section(const FitReport& report) {
  Figure out;
  out.id = "family-plot";
  out.title = "How far each family is from the recording";
  out.note =
      "Mean over layers of the sum of squared errors between sorted loads and the family's quantiles: the "
      "criterion of "
      "DeepEP #393. Shorter is better. Families of three parameters (zipf-mandelbrot, shifted-lognormal) do "
      "not compete: "
      "a third parameter always lowers it.";
  out.plot = {{"kind", "bars"},
              {"roles", {{"category", "family"}, {"value", "mean SSE"}, {"facet", "level"}}},
              {"ownScale", true},
              {"wide", true},
              {"xTitle", "mean SSE"}};
  out.table.caption = "Families by level";
  out.table.columns = {"level",
                       "family",
                       "mean SSE",
                       "lowest SSE (layers)",
                       "clearly (layers)",
                       "lowest AIC (layers)",
                       "at bound (layers)",
                       "error of max p10",
                       "p50",
                       "p90",
                       "parameters p50 (p10–p90)"};
  for (const LevelFit& level : report.levels) {
    for (const std::size_t index : families_by_sse(level)) {
      const FamilySummary& family = level.families[index];
      std::string parameters;
      for (std::size_t i = 0; i < family.parameters.size(); ++i) {
        const Percentiles& value = family.parameters[i];
        parameters += fmt::format("{}{} {:.3g} ({:.3g}–{:.3g})", i ? ", " : "",
                                  parameter_names(family.family)[i], value.p50, value.p10, value.p90);
      }
      out.table.rows.push_back({words(level_name(level)), words(std::string(name_of(family.family))),
                                figure(family.mean_sse), integer(family.wins), integer(family.clear_wins),
                                integer(family.aic_wins), integer(family.at_bound),
                                figure(family.max_error.p10), figure(family.max_error.p50),
                                figure(family.max_error.p90), words(parameters)});
    }
  }
  return {"families",
          "Families",
          "The error of the maximum is stated apart, because the maximum sets the pace: negative means that "
          "the family's "
          "largest load falls short of the recorded one.",
          {std::move(out)}};
}

Section pooling_section(const FitReport& report) {
  Section section{"pooling", "Experts per rank", "", {}};
  if (report.pooling.size() < 2) {
    section.lead = "Not in this fit: it needs the experts and at least one number of ranks.";
    return section;
  }
  Figure out;
  out.id = "pooling-plot";
  out.title = "How skew falls when more experts share a rank";
  out.note =
      "Coefficient of variation of the loads, median over layers, and what it would be if the experts' loads "
      "were "
      "independent of each other.";
  out.plot = {{"kind", "lines"},
              {"roles", {{"x", "experts per rank"}, {"y", "CV"}, {"series", "which"}}},
              {"xTitle", "experts per rank"},
              {"yTitle", "coefficient of variation"}};
  out.table.caption = "Skew by experts per rank";
  out.table.columns = {"which", "experts per rank", "CV", "lognormal sigma"};
  for (const bool independent : {false, true}) {
    for (const PoolingRow& row : report.pooling) {
      out.table.rows.push_back({words(independent ? "if experts were independent" : "recorded"),
                                integer(row.experts_per_rank),
                                figure(independent ? row.independent_cv : row.cv),
                                independent ? amount(std::nullopt) : figure(row.sigma)});
    }
  }
  section.figures.push_back(std::move(out));
  return section;
}

}  // namespace epskew
