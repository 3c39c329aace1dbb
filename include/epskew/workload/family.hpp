#pragma once

/// Families of load distributions: each is a quantile curve with one free shape, scale-free (only ratios of
/// loads count).
///
/// The same curves generate loads (workload) and are fitted to recordings (fit), so there is one definition.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace epskew {

enum class Family { uniform, lognormal, gamma, powerlaw, weibull, exprank };

/// The name on the command line and in records.
std::string_view name_of(Family family);
/// nullopt for an unknown name.
std::optional<Family> find_family(std::string_view name);
/// "uniform, lognormal, gamma, …" for messages.
std::string family_names();
/// The name of the free shape as literature calls it: sigma, shape, alpha, rate; empty for uniform.
std::string_view shape_name(Family family);

/// The loads of n places, ascending, scaled to mean 1: the family's quantiles at (i - 1/2) / n, i = 1..n.
///
/// lognormal: exp(sigma·z_p); gamma: shape k; weibull: shape k; powerlaw: rank-size r^-alpha with r = 1 the
/// largest; exprank: exp(-rate·(r - 1)); uniform: all 1. Values are snapped to a grid of 2^-32 so that the
/// last bit of a libm cannot change a routing.
std::vector<double> load_curve(Family family, double shape, int n);

/// The shape whose curve over n places has max / mean = factor, to 30 significant bits. Factor 1 is the flat
/// end of each family: 0 for lognormal, powerlaw and exprank, infinity for gamma and weibull; load_curve
/// takes either. Precondition: 1 <= factor < n (uniform ignores the factor and returns 0).
double shape_for_factor(Family family, double factor, int n);

}  // namespace epskew
