#include "fit/windows.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "fit/conclude.hpp"
#include "fit/floor.hpp"
#include "fit/level_loads.hpp"
#include "fit/summary.hpp"

namespace epskew::fit {
namespace {

struct WindowTally {
  FamilyTally families;
  std::vector<double> factors;
};

bool is_flat(const std::vector<double>& loads) {
  return std::all_of(loads.begin(), loads.end(), [&](double load) { return load == loads.front(); });
}

void add_window(const std::vector<double>& counts, const LeastSquares& fitter, WindowFit& window,
                WindowTally& tally) {
  ++window.windows;
  if (is_flat(counts)) {
    ++window.flat_windows;
    tally.factors.push_back(1);
    return;
  }
  const std::vector<double> loads = sorted_loads(counts, "a window");
  tally.factors.push_back(loads.back());
  std::vector<FamilyFit> fits(num_law_families);
  for (const LawFamily family : law_families()) {
    fits[static_cast<std::size_t>(family)].least_squares = fitter.fit(family, loads);
  }
  tally.families.add(fits, {lowest_sse(fits), false, {}, {}});
}

WindowFit fit_windows_at(const Trace& trace, const Level& level, WindowFit window, Fitters& fitters) {
  window.places = level.places();
  const LeastSquares& fitter = fitters.of(level.places());
  WindowTally tally;
  for (const TraceLayer& layer : trace.layers) {
    std::int64_t first = 0;
    for (; first + window.tokens <= layer.num_tokens(); first += window.tokens) {
      const auto counts = count_rows(layer, trace.num_experts, first, first + window.tokens);
      add_window(level_loads(level, counts), fitter, window, tally);
    }
    window.tokens_left_over += layer.num_tokens() - first;
  }
  window.factor = percentiles_of(tally.factors);
  window.mean_factor = mean_of(tally.factors);
  window.families = tally.families.summary();
  return window;
}

/// One for each window of so many tokens.
std::vector<FloorShape> floor_shapes(const Trace& trace, std::int64_t tokens) {
  std::vector<FloorShape> shapes;
  for (const TraceLayer& layer : trace.layers) {
    for (std::int64_t first = 0; first + tokens <= layer.num_tokens(); first += tokens)
      shapes.push_back(floor_shape(layer, first, first + tokens));
  }
  return shapes;
}

std::int64_t longest(const Trace& trace) {
  std::int64_t tokens = 0;
  for (const TraceLayer& layer : trace.layers) tokens = std::max(tokens, layer.num_tokens());
  return tokens;
}

}  // namespace

const LeastSquares& Fitters::of(int places) {
  return fitters_.try_emplace(places, places).first->second;
}

std::vector<WindowFit> fit_windows(const Trace& trace, const FitOptions& options, Fitters& fitters,
                                   std::vector<std::string>& notes) {
  std::vector<WindowFit> all;
  if (options.window_tokens.empty()) return all;
  if (options.num_ranks.empty()) {
    notes.push_back("no windows: they are of tokens per rank, and no number of ranks was fitted");
    return all;
  }
  if (longest(trace) == 0) {
    notes.push_back("no windows: the recording has counts, not tokens");
    return all;
  }
  for (const int tokens_per_rank : options.window_tokens) {
    for (const int ranks : options.num_ranks) {
      const std::int64_t tokens = std::int64_t{tokens_per_rank} * ranks;
      if (tokens > longest(trace)) {
        notes.push_back(fmt::format("no windows of {} × {} tokens: the longest layer has {}", tokens_per_rank,
                                    ranks, longest(trace)));
        continue;
      }
      const Placement* placement = options.placement ? &*options.placement : nullptr;
      const std::vector<Level> levels = {{trace.num_experts, 0, nullptr},
                                         {trace.num_experts, ranks, placement}};
      const std::vector<double> floors = uniform_floor(floor_shapes(trace, tokens), levels, options.seed);
      for (std::size_t l = options.expert ? 0 : 1; l < levels.size(); ++l) {
        WindowFit window;
        window.expert = l == 0;
        window.num_ranks = ranks;
        window.tokens_per_rank = tokens_per_rank;
        window.tokens = tokens;
        window.floor = floors[l];
        all.push_back(fit_windows_at(trace, levels[l], std::move(window), fitters));
      }
    }
  }
  return all;
}

}  // namespace epskew::fit
