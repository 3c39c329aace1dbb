#pragma once

/// From a recording to laws: every layer's loads, per expert and per rank, fitted, ranked and summarised.
///
/// All loads are in units of their mean, so the largest is the imbalance factor of its level. Intervals are
/// 95 % percentile-bootstrap intervals.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "epskew/fit/least_squares.hpp"
#include "epskew/fit/likelihood.hpp"
#include "epskew/routing/placement.hpp"
#include "epskew/trace/trace.hpp"

namespace epskew {

/// Fewer places than this tell no family from another, whatever the loads.
inline constexpr int min_places_to_rank = 16;

struct FitOptions {
  bool expert = true;          ///< fit loads of experts
  std::vector<int> num_ranks;  ///< fit loads of ranks for each of these world sizes; see default_num_ranks
  std::vector<int> window_tokens = {128};  ///< windows of this many tokens per rank; empty: totals only
  std::optional<Placement> placement;      ///< unset: contiguous
  int bootstrap = 200;  ///< resamples behind intervals, verdicts and p-values; 0: none of them
  std::uint64_t seed = 0;
};

/// Those of 8, 16 and 32 that divide the number of experts.
std::vector<int> default_num_ranks(int num_experts);

struct Interval {
  double low = 0;
  double high = 0;
};

/// One family on one set of loads.
struct FamilyFit {
  LeastSquaresFit least_squares;
  std::optional<LikelihoodFit> likelihood;
  std::string no_likelihood;                   ///< why there is none; empty where there is one
  std::vector<Interval> intervals;             ///< of the least-squares parameters; empty without bootstrap
  std::vector<Interval> likelihood_intervals;  ///< of the likelihood's parameters; empty without bootstrap
  std::optional<double> ks_p;                  ///< of likelihood->ks by parametric bootstrap
};

/// Which family describes the loads. Only families of at most two parameters compete for SSE: a third
/// parameter always lowers it.
struct Verdict {
  LawFamily best = LawFamily::uniform;  ///< the lowest SSE
  bool distinguishable = false;
  /// That cannot be told from the best: as low in the resamples, or at the end of the searched range, where
  /// the SSE is not the least that the family can reach.
  std::vector<LawFamily> rivals;
  std::string reason;  ///< why not distinguishable, as a sentence's end; empty where it is
};

/// One layer at one level.
struct LayerFit {
  int layer = 0;
  std::int64_t selections = 0;
  double factor = 0;            ///< largest load
  double cv = 0;                ///< standard deviation of the loads
  std::vector<double> loads;    ///< [places], ascending, mean 1
  std::vector<FamilyFit> fits;  ///< [num_law_families], in the order of law_families()
  Verdict verdict;
};

struct Percentiles {
  double p10 = 0, p50 = 0, p90 = 0;
};

/// One family over all layers of a level, or over all windows.
struct FamilySummary {
  LawFamily family = LawFamily::uniform;
  int wins = 0;        ///< cases in which it has the lowest SSE of the competing families
  int clear_wins = 0;  ///< of these, the distinguishable ones
  int aic_wins = 0;    ///< cases in which it has the lowest AIC of the families with has_regular_likelihood
  /// Cases in which the Kolmogorov–Smirnov test rejects it at 5 %, of those with a likelihood; unset without
  /// bootstrap.
  std::optional<int> ks_rejected;
  int at_bound = 0;  ///< cases in which its shape lies at the end of the searched range
  double mean_sse = 0;
  Percentiles max_error;                ///< of LeastSquaresFit::max_error
  std::vector<Percentiles> parameters;  ///< of the least-squares parameters
};

/// One level: experts, or the ranks of one world size.
struct LevelFit {
  int num_ranks = 0;  ///< 0: the level of experts
  int places = 0;
  std::vector<LayerFit> layers;
  Percentiles factor;
  double mean_factor = 0;
  double worst_factor = 0;
  /// Mean factor of uniform random routing: layer by layer as many tokens, each with its number of
  /// selections.
  double floor = 0;
  std::vector<FamilySummary> families;  ///< [num_law_families]
  std::vector<double> mean_loads;       ///< [places], ascending: mean over the layers at every place
  /// [num_law_families], fitted to mean_loads: the parameters with the least SSE over all layers together.
  std::vector<LeastSquaresFit> pooled;
  Verdict verdict;         ///< over the layers: by mean SSE, layers resampled
  std::string conclusion;  ///< one plain sentence

  bool is_expert() const { return num_ranks == 0; }
};

/// Windows of tokens_per_rank × num_ranks consecutive tokens of every layer, fitted by least squares, at one
/// level.
struct WindowFit {
  bool expert = false;  ///< loads of experts in windows of that size, else of ranks
  int num_ranks = 0;
  int places = 0;
  int tokens_per_rank = 0;
  std::int64_t tokens = 0;  ///< of a window
  int windows = 0;          ///< of all layers together
  int flat_windows = 0;     ///< of these, with equal loads at every place: counted in factor, not fitted
  std::int64_t tokens_left_over = 0;  ///< of all layers together, too few for a window
  Percentiles factor;
  double mean_factor = 0;
  double floor = 0;                     ///< the same as LevelFit::floor, window by window
  std::vector<FamilySummary> families;  ///< [num_law_families], without aic_wins, clear_wins and ks_rejected
};

/// How skew falls when more experts share a rank.
struct PoolingRow {
  int num_ranks = 0;  ///< 0: experts by themselves
  int experts_per_rank = 1;
  double cv = 0;     ///< median over layers
  double sigma = 0;  ///< median lognormal sigma over layers
  double independent_cv =
      0;  ///< cv of the experts / sqrt(experts_per_rank): what independent experts would leave
};

struct FitReport {
  std::string source;
  std::string format;
  int num_experts = 0;
  int topk = 0;             ///< 0 where the recording has counts only
  std::int64_t tokens = 0;  ///< of the layer with the most; 0 where the recording has counts only
  std::vector<int> layers;
  std::string placement;  ///< "contiguous" or "as given"
  FitOptions options;
  std::vector<LevelFit> levels;  ///< experts first, then by rising num_ranks
  std::vector<WindowFit> windows;
  std::vector<PoolingRow> pooling;  ///< by rising experts_per_rank; empty unless experts were fitted
  std::vector<std::string> notes;   ///< what was left out, and why
};

/// Fits a recording. Throws UsageError, before fitting anything, for a trace without layers or experts,
/// layers of different width, loads that sorted_loads refuses, world sizes that do not divide the experts, or
/// a bad option.
FitReport fit_trace(const Trace& trace, const FitOptions& options);

}  // namespace epskew
