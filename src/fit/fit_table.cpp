#include "epskew/fit/fit_table.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "fit/bootstrap.hpp"

namespace epskew {
namespace {

std::string level_name(bool expert, int num_ranks) {
  return expert ? std::string("experts") : fmt::format("{} ranks", num_ranks);
}

std::string head_of(const FitReport& report) {
  std::string text =
      fmt::format("{} ({}): {} layer{}, {} experts", report.source, report.format, report.layers.size(),
                  report.layers.size() == 1 ? "" : "s", report.num_experts);
  if (report.topk > 0) text += fmt::format(", top-{}, {} tokens", report.topk, report.tokens);
  return text + fmt::format(", placement {}\n", report.placement);
}

/// "sigma 0.372 / 0.547 / 0.738"
std::string shape_cell(const FamilySummary& family) {
  const auto index = shape_index(family.family);
  if (!index) return "";
  const auto p = static_cast<std::size_t>(*index);
  const Percentiles& shape = family.parameters[p];
  return fmt::format("{:<6}{:>8.3g} /{:>8.3g} /{:>8.3g}", parameter_names(family.family)[p], shape.p10,
                     shape.p50, shape.p90);
}

/// Lowest mean SSE first; laws of three parameters, which do not compete, at the end.
std::vector<FamilySummary> in_order(std::vector<FamilySummary> families) {
  std::stable_sort(families.begin(), families.end(), [](const FamilySummary& a, const FamilySummary& b) {
    const bool a_competes = fit::competes(a.family);
    const bool b_competes = fit::competes(b.family);
    return a_competes != b_competes ? a_competes : a.mean_sse < b.mean_sse;
  });
  return families;
}

std::string family_row(const FamilySummary& family) {
  const bool competes = fit::competes(family.family);
  return fmt::format("  {:<18}{:>5}{:>6}{:>4}{:>4}{:>6}{:>10.3g}{:>+9.1f} %  {}\n", name_of(family.family),
                     competes ? fmt::format("{}", family.wins) : "*",
                     competes ? fmt::format("{}", family.clear_wins) : "*", family.aic_wins,
                     family.ks_rejected ? fmt::format("{}", *family.ks_rejected) : "-", family.at_bound,
                     family.mean_sse, 100 * family.max_error.p50, shape_cell(family));
}

std::string level_table(const LevelFit& level) {
  std::string text = fmt::format(
      "\nLoads of {}: factor {:.2f} on average, {:.2f} at worst; uniform sampling alone {:.2f}\n",
      level_name(level.is_expert(), level.num_ranks), level.mean_factor, level.worst_factor, level.floor);
  text += fmt::format("  {:<18}{:>5}{:>6}{:>4}{:>4}{:>6}{:>10}{:>11}  {}\n", "family", "wins", "clear", "AIC",
                      "KS", "bound", "mean SSE", "max error", "shape p10 / p50 / p90");
  for (const FamilySummary& family : in_order(level.families)) text += family_row(family);
  return text;
}

const FamilySummary* best_of(const std::vector<FamilySummary>& families) {
  const FamilySummary* best = nullptr;
  for (const FamilySummary& family : families) {
    if (fit::competes(family.family) && (!best || family.mean_sse < best->mean_sse)) best = &family;
  }
  return best;
}

std::string window_table(const std::vector<WindowFit>& windows) {
  if (windows.empty()) return "";
  std::string text = fmt::format("\nWindows (tokens a rank x ranks)\n  {:<14}{:<10}{:>8}{:>10}{:>10}   {}\n",
                                 "tokens", "level", "windows", "factor", "uniform", "lowest mean SSE");
  for (const WindowFit& window : windows) {
    const FamilySummary* best = best_of(window.families);
    text += fmt::format(
        "  {:<14}{:<10}{:>8}{:>10.2f}{:>10.2f}   {}\n",
        fmt::format("{} x {}", window.tokens_per_rank, window.num_ranks),
        level_name(window.expert, window.num_ranks), window.windows, window.mean_factor, window.floor,
        best ? fmt::format("{} ({:.3g})", name_of(best->family), best->mean_sse) : "no skew at all");
  }
  return text;
}

std::string pooling_table(const std::vector<PoolingRow>& rows) {
  if (rows.size() < 2) return "";
  std::string text =
      fmt::format("\nSkew against experts per rank (medians over layers)\n  {:<18}{:>8}{:>10}{:>28}\n",
                  "experts per rank", "cv", "sigma", "cv, were they independent");
  for (const PoolingRow& row : rows) {
    text += fmt::format("  {:<18}{:>8.3f}{:>10.3f}{:>28.3f}\n", row.experts_per_rank, row.cv, row.sigma,
                        row.independent_cv);
  }
  return text;
}

std::string legend() {
  return "\nwins: layers with the lowest SSE among laws of at most two parameters (*: three always lower "
         "it)\n"
         "clear: wins that 95 % of the resamples agree with\n"
         "AIC: layers with the lowest AIC, bounded laws apart; KS: layers in which it rejects the law at 5 "
         "%\n"
         "bound: layers in which its shape lies at the end of the searched range: a limit, not an estimate\n"
         "max error: the law's largest load against the recorded one, median over layers\n";
}

}  // namespace

std::string to_text(const FitReport& report) {
  std::string text = head_of(report);
  for (const LevelFit& level : report.levels) text += level_table(level);
  text += legend() + window_table(report.windows) + pooling_table(report.pooling) + "\n";
  for (const LevelFit& level : report.levels) text += level.conclusion + "\n";
  for (const std::string& note : report.notes) text += "note: " + note + "\n";
  return text;
}

}  // namespace epskew
