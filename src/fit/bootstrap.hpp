#pragma once

/// What chance alone could have changed: intervals, verdicts and p-values.

#include <span>
#include <vector>

#include "epskew/fit/fit.hpp"
#include "epskew/support/random.hpp"

namespace epskew::fit {

/// Whether the family competes for the lowest SSE: at most two parameters.
bool competes(LawFamily family);

/// SSE of resamples: [num_law_families][resamples].
using ResampledSse = std::vector<std::vector<double>>;

/// The families that come as low as `best` in 5 % or more of the resamples.
std::vector<LawFamily> rivals_of(LawFamily best, const ResampledSse& sse);

/// Draws the loads' places with replacement `resamples` times and fits every draw; fills in
/// FamilyFit::intervals of `fits`.
ResampledSse resample_loads(const LeastSquares& least_squares, std::span<const double> loads, int resamples,
                            RandomStream random, std::vector<FamilyFit>& fits);

/// Draws `resamples` times as many loads from the likelihood's law and fits them again; fills in ks_p and
/// likelihood_intervals.
void simulate_likelihood(FamilyFit& fit, int places, int resamples, RandomStream random);

}  // namespace epskew::fit
