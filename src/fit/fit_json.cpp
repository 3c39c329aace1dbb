#include "epskew/fit/fit_json.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <span>

#include "epskew/support/error.hpp"
#include "epskew/support/json_file.hpp"

namespace epskew {
namespace {

using nlohmann::ordered_json;

/// JSON knows no infinity: one here would be a mistake of ours, not a value.
double rounded(double value, int digits = 10) {
  EPSKEW_ASSERT(std::isfinite(value));
  return std::strtod(fmt::format("{:.{}g}", value, digits).c_str(), nullptr);
}

ordered_json curve_json(std::span<const double> values) {
  ordered_json out = ordered_json::array();
  for (const double value : values) out.push_back(rounded(value, 6));
  return out;
}

ordered_json json_of(const Percentiles& p) {
  return {{"p10", rounded(p.p10)}, {"p50", rounded(p.p50)}, {"p90", rounded(p.p90)}};
}

ordered_json names_json(const std::vector<LawFamily>& families) {
  ordered_json out = ordered_json::array();
  for (const LawFamily family : families) out.push_back(name_of(family));
  return out;
}

ordered_json json_of(const Verdict& verdict) {
  ordered_json out = {{"best", name_of(verdict.best)},
                      {"distinguishable", verdict.distinguishable},
                      {"rivals", names_json(verdict.rivals)}};
  out["reason"] = verdict.reason.empty() ? ordered_json() : ordered_json(verdict.reason);
  return out;
}

ordered_json parameters_json(LawFamily family, std::span<const double> values,
                             std::span<const Interval> intervals) {
  ordered_json out = ordered_json::array();
  const auto names = parameter_names(family);
  for (std::size_t p = 0; p < names.size(); ++p) {
    ordered_json one = {
        {"name", names[p]}, {"value", rounded(values[p])}, {"low", nullptr}, {"high", nullptr}};
    if (!intervals.empty()) {
      one["low"] = rounded(intervals[p].low);
      one["high"] = rounded(intervals[p].high);
    }
    out.push_back(std::move(one));
  }
  return out;
}

ordered_json json_of(const LeastSquaresFit& fit, std::span<const Interval> intervals) {
  return {{"sse", rounded(fit.sse)},
          {"max_error", rounded(fit.max_error)},
          {"at_bound", fit.at_bound},
          {"parameters", parameters_json(fit.family, fit.parameters, intervals)},
          {"curve", curve_json(fit.curve)}};
}

ordered_json likelihood_json(const FamilyFit& fit) {
  if (!fit.likelihood) return nullptr;
  const LikelihoodFit& likelihood = *fit.likelihood;
  return {
      {"log_likelihood", rounded(likelihood.log_likelihood)},
      {"aic", rounded(likelihood.aic)},
      {"bic", rounded(likelihood.bic)},
      {"regular", has_regular_likelihood(likelihood.family)},
      {"ks", rounded(likelihood.ks)},
      {"ks_p", fit.ks_p ? ordered_json(rounded(*fit.ks_p)) : ordered_json()},
      {"at_bound", likelihood.at_bound},
      {"parameters", parameters_json(likelihood.family, likelihood.parameters, fit.likelihood_intervals)}};
}

ordered_json json_of(const FamilyFit& fit) {
  return {{"family", name_of(fit.least_squares.family)},
          {"least_squares", json_of(fit.least_squares, fit.intervals)},
          {"likelihood", likelihood_json(fit)},
          {"no_likelihood", fit.no_likelihood.empty() ? ordered_json() : ordered_json(fit.no_likelihood)}};
}

ordered_json json_of(const LayerFit& layer) {
  ordered_json fits = ordered_json::array();
  for (const FamilyFit& fit : layer.fits) fits.push_back(json_of(fit));
  return {{"layer", layer.layer},    {"selections", layer.selections},   {"factor", rounded(layer.factor)},
          {"cv", rounded(layer.cv)}, {"loads", curve_json(layer.loads)}, {"verdict", json_of(layer.verdict)},
          {"fits", std::move(fits)}};
}

ordered_json json_of(const FamilySummary& family) {
  ordered_json parameters = ordered_json::array();
  const auto names = parameter_names(family.family);
  for (std::size_t p = 0; p < names.size(); ++p) {
    ordered_json one = {{"name", names[p]}};
    one.update(json_of(family.parameters[p]));
    parameters.push_back(std::move(one));
  }
  return {{"family", name_of(family.family)},
          {"wins", family.wins},
          {"clear_wins", family.clear_wins},
          {"aic_wins", family.aic_wins},
          {"ks_rejected", family.ks_rejected ? ordered_json(*family.ks_rejected) : ordered_json()},
          {"at_bound", family.at_bound},
          {"mean_sse", rounded(family.mean_sse)},
          {"max_error", json_of(family.max_error)},
          {"parameters", std::move(parameters)}};
}

ordered_json json_of(const std::vector<FamilySummary>& families) {
  ordered_json out = ordered_json::array();
  for (const FamilySummary& family : families) out.push_back(json_of(family));
  return out;
}

ordered_json level_head(bool expert, int num_ranks, int places) {
  ordered_json ranks = num_ranks == 0 ? ordered_json() : ordered_json(num_ranks);
  return {{"level", expert ? "expert" : "rank"}, {"num_ranks", std::move(ranks)}, {"places", places}};
}

ordered_json factor_json(const Percentiles& percentiles, double mean, double floor) {
  ordered_json out = json_of(percentiles);
  out["mean"] = rounded(mean);
  out["floor"] = rounded(floor);
  return out;
}

ordered_json json_of(const LevelFit& level) {
  ordered_json out = level_head(level.is_expert(), level.num_ranks, level.places);
  out["conclusion"] = level.conclusion;
  out["verdict"] = json_of(level.verdict);
  out["factor"] = factor_json(level.factor, level.mean_factor, level.floor);
  out["factor"]["worst"] = rounded(level.worst_factor);
  out["families"] = json_of(level.families);
  ordered_json fits = ordered_json::array();
  for (const LeastSquaresFit& fit : level.pooled) {
    fits.push_back({{"family", name_of(fit.family)}, {"least_squares", json_of(fit, {})}});
  }
  out["pooled"] = {{"loads", curve_json(level.mean_loads)}, {"fits", std::move(fits)}};
  out["layers"] = ordered_json::array();
  for (const LayerFit& layer : level.layers) out["layers"].push_back(json_of(layer));
  return out;
}

ordered_json json_of(const WindowFit& window) {
  ordered_json out = level_head(window.expert, window.num_ranks, window.places);
  out["tokens_per_rank"] = window.tokens_per_rank;
  out["tokens"] = window.tokens;
  out["windows"] = window.windows;
  out["flat_windows"] = window.flat_windows;
  out["tokens_left_over"] = window.tokens_left_over;
  out["factor"] = factor_json(window.factor, window.mean_factor, window.floor);
  out["families"] = json_of(window.families);
  for (ordered_json& family : out["families"]) {
    family.erase("clear_wins");
    family.erase("aic_wins");
    family.erase("ks_rejected");
  }
  return out;
}

ordered_json json_of(const PoolingRow& row) {
  return {{"num_ranks", row.num_ranks == 0 ? ordered_json() : ordered_json(row.num_ranks)},
          {"experts_per_rank", row.experts_per_rank},
          {"cv", rounded(row.cv)},
          {"sigma", rounded(row.sigma)},
          {"independent_cv", rounded(row.independent_cv)}};
}

template <class Item>
ordered_json array_of(const std::vector<Item>& items) {
  ordered_json out = ordered_json::array();
  for (const Item& item : items) out.push_back(json_of(item));
  return out;
}

ordered_json trace_json(const FitReport& report) {
  return {{"source", report.source},
          {"format", report.format},
          {"num_experts", report.num_experts},
          {"topk", report.topk == 0 ? ordered_json() : ordered_json(report.topk)},
          {"tokens", report.tokens == 0 ? ordered_json() : ordered_json(report.tokens)},
          {"layers", report.layers},
          {"placement", report.placement}};
}

ordered_json options_json(const FitOptions& options) {
  return {{"bootstrap", options.bootstrap},
          {"seed", options.seed},
          {"num_ranks", options.num_ranks},
          {"window_tokens_per_rank", options.window_tokens}};
}

}  // namespace

std::string to_json(const FitReport& report, const FitRun& run) {
  const ordered_json out = {{"schema", "epskew-fit"},
                            {"schema_version", fit_schema_version},
                            {"tool", {{"name", "epskew"}, {"version", run.tool_version}}},
                            {"command", "fit"},
                            {"argv", run.argv},
                            {"created", run.created},
                            {"trace", trace_json(report)},
                            {"options", options_json(report.options)},
                            {"levels", array_of(report.levels)},
                            {"windows", array_of(report.windows)},
                            {"pooling", array_of(report.pooling)},
                            {"notes", report.notes}};
  return dump_json(out) + "\n";
}

}  // namespace epskew
