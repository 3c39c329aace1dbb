#include "fit/summary.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "epskew/support/error.hpp"

namespace epskew::fit {
namespace {

std::optional<std::size_t> lowest_aic(const std::vector<FamilyFit>& fits) {
  std::optional<std::size_t> best;
  for (std::size_t f = 0; f < fits.size(); ++f) {
    const auto& likelihood = fits[f].likelihood;
    if (!likelihood || likelihood->at_bound || !has_regular_likelihood(likelihood->family)) continue;
    if (!best || likelihood->aic < fits[*best].likelihood->aic) best = f;
  }
  return best;
}

PoolingRow pooling_row(const LevelFit& level, int num_experts) {
  PoolingRow row;
  row.num_ranks = level.num_ranks;
  row.experts_per_rank = level.is_expert() ? 1 : num_experts / level.num_ranks;
  std::vector<double> cvs;
  for (const LayerFit& layer : level.layers) cvs.push_back(layer.cv);
  row.cv = percentiles_of(cvs).p50;
  const auto index = static_cast<std::size_t>(*shape_index(LawFamily::lognormal));
  row.sigma = level.families[static_cast<std::size_t>(LawFamily::lognormal)].parameters[index].p50;
  return row;
}

}  // namespace

double quantile_of(std::span<const double> ascending, double q) {
  EPSKEW_EXPECT(!ascending.empty());
  const double position = q * static_cast<double>(ascending.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, ascending.size() - 1);
  return ascending[below] + (position - static_cast<double>(below)) * (ascending[above] - ascending[below]);
}

Percentiles percentiles_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {quantile_of(values, 0.1), quantile_of(values, 0.5), quantile_of(values, 0.9)};
}

double mean_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

void FamilyTally::add(const std::vector<FamilyFit>& fits, const Verdict& verdict) {
  for (std::size_t f = 0; f < fits.size(); ++f) {
    const LeastSquaresFit& fit = fits[f].least_squares;
    sse_[f].push_back(fit.sse);
    max_error_[f].push_back(fit.max_error);
    at_bound_[f] += fit.at_bound;
    if (fits[f].ks_p) ks_rejected_[f] = ks_rejected_[f].value_or(0) + (*fits[f].ks_p < 0.05 ? 1 : 0);
    parameters_[f].resize(fit.parameters.size());
    for (std::size_t p = 0; p < fit.parameters.size(); ++p) parameters_[f][p].push_back(fit.parameters[p]);
  }
  const auto best = static_cast<std::size_t>(verdict.best);
  ++wins_[best];
  clear_wins_[best] += verdict.distinguishable;
  if (const auto by_aic = lowest_aic(fits)) ++aic_wins_[*by_aic];
}

std::vector<FamilySummary> FamilyTally::summary() const {
  std::vector<FamilySummary> all;
  if (sse_.front().empty()) return all;
  for (const LawFamily family : law_families()) {
    const auto f = static_cast<std::size_t>(family);
    FamilySummary one;
    one.family = family;
    one.wins = wins_[f];
    one.clear_wins = clear_wins_[f];
    one.aic_wins = aic_wins_[f];
    one.ks_rejected = ks_rejected_[f];
    one.at_bound = at_bound_[f];
    one.mean_sse = mean_of(sse_[f]);
    one.max_error = percentiles_of(max_error_[f]);
    for (const std::vector<double>& values : parameters_[f]) one.parameters.push_back(percentiles_of(values));
    all.push_back(std::move(one));
  }
  return all;
}

void summarise_level(LevelFit& level, const LeastSquares& least_squares) {
  FamilyTally tally;
  std::vector<double> factors;
  level.mean_loads.assign(static_cast<std::size_t>(level.places), 0.0);
  for (const LayerFit& layer : level.layers) {
    tally.add(layer.fits, layer.verdict);
    factors.push_back(layer.factor);
    for (std::size_t i = 0; i < layer.loads.size(); ++i) level.mean_loads[i] += layer.loads[i];
  }
  for (double& load : level.mean_loads) load /= static_cast<double>(level.layers.size());
  for (const LawFamily family : law_families()) {
    level.pooled.push_back(least_squares.fit(family, level.mean_loads));
  }
  level.families = tally.summary();
  level.factor = percentiles_of(factors);
  level.mean_factor = mean_of(factors);
  level.worst_factor = *std::max_element(factors.begin(), factors.end());
}

std::vector<PoolingRow> pooling_of(const FitReport& report) {
  std::vector<PoolingRow> rows;
  if (report.levels.empty() || !report.levels.front().is_expert()) return rows;
  for (const LevelFit& level : report.levels) rows.push_back(pooling_row(level, report.num_experts));
  std::sort(rows.begin() + 1, rows.end(),
            [](const PoolingRow& a, const PoolingRow& b) { return a.experts_per_rank < b.experts_per_rank; });
  for (PoolingRow& row : rows) row.independent_cv = rows.front().cv / std::sqrt(row.experts_per_rank);
  return rows;
}

}  // namespace epskew::fit
