#pragma once

/// Many fits in a few numbers.

#include <optional>
#include <span>
#include <vector>

#include "epskew/fit/fit.hpp"

namespace epskew::fit {

/// The q-quantile of ascending, non-empty values by linear interpolation (Hyndman–Fan type 7).
double quantile_of(std::span<const double> ascending, double q);
/// Of non-empty values in any order.
Percentiles percentiles_of(std::vector<double> values);
double mean_of(std::span<const double> values);

/// Adds up one case (layer or window) after the other.
class FamilyTally {
 public:
  /// `fits`: [num_law_families] in the order of law_families().
  void add(const std::vector<FamilyFit>& fits, const Verdict& verdict);
  std::vector<FamilySummary> summary() const;
  /// [num_law_families][cases]
  const std::vector<std::vector<double>>& sse() const { return sse_; }

 private:
  std::vector<std::vector<double>> sse_ = std::vector<std::vector<double>>(num_law_families);
  std::vector<std::vector<double>> max_error_ = std::vector<std::vector<double>>(num_law_families);
  std::vector<std::vector<std::vector<double>>> parameters_ =
      std::vector<std::vector<std::vector<double>>>(num_law_families);
  std::vector<int> wins_ = std::vector<int>(num_law_families);
  std::vector<int> clear_wins_ = std::vector<int>(num_law_families);
  std::vector<int> at_bound_ = std::vector<int>(num_law_families);
  std::vector<int> aic_wins_ = std::vector<int>(num_law_families);
  std::vector<std::optional<int>> ks_rejected_ = std::vector<std::optional<int>>(num_law_families);
};

/// Fills in what follows from level.layers: percentiles, families, mean_loads and pooled.
void summarise_level(LevelFit& level, const LeastSquares& least_squares);

/// From the levels of a report that has fitted experts; else empty.
std::vector<PoolingRow> pooling_of(const FitReport& report);

}  // namespace epskew::fit
