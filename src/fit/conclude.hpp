#pragma once

/// Which family describes the loads, and whether one may say so.

#include <string>

#include "epskew/fit/fit.hpp"
#include "fit/bootstrap.hpp"

namespace epskew::fit {

/// The competing family with the lowest SSE.
LawFamily lowest_sse(const std::vector<FamilyFit>& fits);

/// For one layer. `resampled`: nullptr without bootstrap.
Verdict judge_layer(const std::vector<FamilyFit>& fits, int places, const ResampledSse* resampled);

/// Over the layers of a level, by mean SSE. `sse`: [num_law_families][layers].
Verdict judge_level(const LevelFit& level, const std::vector<std::vector<double>>& sse,
                    const FitOptions& options);

/// One plain sentence about the level.
std::string conclusion_of(const LevelFit& level);

}  // namespace epskew::fit
