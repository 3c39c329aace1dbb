#pragma once

/// Loads of a level from the counts of experts.

#include <cstdint>
#include <span>
#include <vector>

#include "epskew/fit/fit.hpp"

namespace epskew::fit {

/// Where loads are counted: experts for num_ranks == 0, else ranks under a placement.
struct Level {
  int num_experts = 0;
  int num_ranks = 0;
  const Placement* placement = nullptr;  ///< nullptr: contiguous
  int places() const { return num_ranks == 0 ? num_experts : num_ranks; }
};

/// [places] selections, from the selections per expert.
std::vector<double> level_loads(const Level& level, std::span<const std::int64_t> counts);

/// Selections per expert of the rows [first, last) of a token trace's layer; masked entries count nowhere.
std::vector<std::int64_t> count_rows(const TraceLayer& layer, int num_experts, std::int64_t first,
                                     std::int64_t last);

/// Throws UsageError for what fit_trace refuses in the trace's shape and the options.
void check(const Trace& trace, const FitOptions& options);

}  // namespace epskew::fit
