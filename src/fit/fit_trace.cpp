
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "epskew/fit/fit.hpp"
#include "fit/bootstrap.hpp"
#include "fit/conclude.hpp"
#include "fit/floor.hpp"
#include "fit/level_loads.hpp"
#include "fit/streams.hpp"
#include "fit/summary.hpp"
#include "fit/windows.hpp"

namespace epskew {
namespace {

using fit::Level;
using fit::Purpose;
using fit::stream_of;

std::vector<Level> levels_of(const Trace& trace, const FitOptions& options) {
  std::vector<Level> levels;
  if (options.expert) levels.push_back({trace.num_experts, 0, nullptr});
  const Placement* placement = options.placement ? &*options.placement : nullptr;
  for (const int ranks : options.num_ranks) levels.push_back({trace.num_experts, ranks, placement});
  return levels;
}

LayerFit layer_loads(const TraceLayer& layer, const Level& level) {
  LayerFit fit;
  fit.layer = layer.layer;
  fit.selections = std::accumulate(layer.counts.begin(), layer.counts.end(), std::int64_t{0});
  const std::string what = level.num_ranks == 0
                               ? fmt::format("layer {}", layer.layer)
                               : fmt::format("layer {} on {} ranks", layer.layer, level.num_ranks);
  fit.loads = sorted_loads(fit::level_loads(level, layer.counts), what);
  fit.factor = fit.loads.back();
  double square = 0;
  for (const double load : fit.loads) square += (load - 1) * (load - 1);
  fit.cv = std::sqrt(square / static_cast<double>(fit.loads.size()));
  return fit;
}

void fit_families(LayerFit& layer, const LeastSquares& fitter, const Level& level,
                  const FitOptions& options) {
  for (const LawFamily family : law_families()) {
    FamilyFit fit;
    fit.least_squares = fitter.fit(family, layer.loads);
    if (const auto reason = no_likelihood(family, layer.loads)) {
      fit.no_likelihood = *reason;
    } else {
      fit.likelihood = fit_likelihood(family, layer.loads);
      const RandomStream random(
          options.seed, stream_of(Purpose::simulate, level.num_ranks, layer.layer, static_cast<int>(family)));
      if (options.bootstrap > 0) fit::simulate_likelihood(fit, level.places(), options.bootstrap, random);
    }
    layer.fits.push_back(std::move(fit));
  }
  if (options.bootstrap == 0) {
    layer.verdict = fit::judge_layer(layer.fits, level.places(), nullptr);
    return;
  }
  const RandomStream random(options.seed, stream_of(Purpose::resample_loads, level.num_ranks, layer.layer));
  const auto resampled = fit::resample_loads(fitter, layer.loads, options.bootstrap, random, layer.fits);
  layer.verdict = fit::judge_layer(layer.fits, level.places(), &resampled);
}

LevelFit fit_level(LevelFit level_fit, const Level& level, const FitOptions& options,
                   const LeastSquares& fitter) {
  std::vector<std::vector<double>> sse(num_law_families);
  for (LayerFit& layer : level_fit.layers) {
    fit_families(layer, fitter, level, options);
    for (std::size_t f = 0; f < sse.size(); ++f) sse[f].push_back(layer.fits[f].least_squares.sse);
  }
  fit::summarise_level(level_fit, fitter);
  level_fit.verdict = fit::judge_level(level_fit, sse, options);
  level_fit.conclusion = fit::conclusion_of(level_fit);
  return level_fit;
}

/// Every set of loads, checked, before the first fit.
std::vector<LevelFit> all_loads(const Trace& trace, const std::vector<Level>& levels) {
  std::vector<LevelFit> fits;
  for (const Level& level : levels) {
    LevelFit fit;
    fit.num_ranks = level.num_ranks;
    fit.places = level.places();
    for (const TraceLayer& layer : trace.layers) fit.layers.push_back(layer_loads(layer, level));
    fits.push_back(std::move(fit));
  }
  return fits;
}

std::vector<fit::FloorShape> floor_shapes(const Trace& trace) {
  std::vector<fit::FloorShape> shapes;
  for (const TraceLayer& layer : trace.layers) shapes.push_back(fit::floor_shape(layer));
  return shapes;
}

FitReport head_of(const Trace& trace, const FitOptions& options) {
  FitReport report;
  report.source = trace.source.string();
  report.format = trace.format;
  report.num_experts = trace.num_experts;
  for (const TraceLayer& layer : trace.layers) {
    report.layers.push_back(layer.layer);
    report.topk = std::max(report.topk, layer.topk);
    report.tokens = std::max(report.tokens, layer.num_tokens());
  }
  report.placement = options.placement ? "as given" : "contiguous";
  report.options = options;
  report.notes = trace.notes;
  return report;
}

}  // namespace

std::vector<int> default_num_ranks(int num_experts) {
  std::vector<int> fitting;
  for (const int ranks : {8, 16, 32}) {
    if (ranks <= num_experts && num_experts % ranks == 0) fitting.push_back(ranks);
  }
  return fitting;
}

FitReport fit_trace(const Trace& trace, const FitOptions& asked) {
  fit::check(trace, asked);
  FitOptions options = asked;
  std::sort(options.num_ranks.begin(), options.num_ranks.end());
  options.num_ranks.erase(std::unique(options.num_ranks.begin(), options.num_ranks.end()),
                          options.num_ranks.end());
  const std::vector<Level> levels = levels_of(trace, options);
  std::vector<LevelFit> loads = all_loads(trace, levels);
  FitReport report = head_of(trace, options);
  const std::vector<double> floors = fit::uniform_floor(floor_shapes(trace), levels, options.seed);
  fit::Fitters fitters;
  for (std::size_t l = 0; l < levels.size(); ++l) {
    loads[l].floor = floors[l];
    report.levels.push_back(
        fit_level(std::move(loads[l]), levels[l], options, fitters.of(levels[l].places())));
  }
  report.windows = fit::fit_windows(trace, options, fitters, report.notes);
  report.pooling = fit::pooling_of(report);
  return report;
}

}  // namespace epskew
