#pragma once

/// Which algorithms an exchange uses where the user leaves it open.

#include <string>
#include <string_view>

#include "backends/cuda/algorithms.hpp"
#include "backends/cuda/plan.hpp"
#include "epskew/exchange/shape.hpp"

namespace epskew::cuda {

/// As in variants: "direct", "dedup"; "pull", "push", "prereduce".
std::string_view name_of(DispatchAlgorithm algorithm);
std::string_view name_of(CombineAlgorithm algorithm);

/// Destination ranks of a token, in the mean, whose K distinct experts are drawn uniformly: R·(1 − C(E−L,
/// K)/C(E, K)).
double mean_destinations(const ExchangeShape& shape);

/// What the user named, and for the rest what an estimate of bytes over links and through memory makes faster
/// (docs/cuda.md): on one GPU direct and pull, since no link is there to save bytes on.
Algorithms choose_algorithms(const ExchangeShape& shape, const ExchangeOptions& options,
                             const Settings& settings);
/// One sentence for the record: what was chosen, and why.
std::string describe_choice(const Algorithms& chosen, const Settings& settings);

}  // namespace epskew::cuda
