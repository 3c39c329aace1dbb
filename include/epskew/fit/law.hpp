#pragma once

/// The laws that are fitted to recorded loads: the generator's families, and those that literature claims
/// besides.
///
/// A law is a curve over n places in ascending order. Places are experts or ranks; loads are in units of
/// their mean.

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "epskew/workload/family.hpp"

namespace epskew {

/// With p = (i - 1/2) / n at the i-th smallest place, r = n + 1 - i its rank from the largest, z the normal
/// quantile.
enum class LawFamily {
  uniform,           ///< scale
  lognormal,         ///< exp(mu + sigma·z(p))
  gamma,             ///< scale · quantile of gamma(shape) at p
  weibull,           ///< scale · (-ln(1 - p))^(1/shape)
  normal,            ///< mean + std·z(p)
  exprank,           ///< scale · exp(-rate·(r - 1)): exponential in rank
  powerlaw,          ///< scale · r^-alpha: Zipf, rank-size
  pareto,            ///< xmin · (1 - p)^(-1/alpha)
  zipf_mandelbrot,   ///< scale · ((r + q) / (1 + q))^-s, q > -1; scale is the load at r = 1, as for powerlaw
  shifted_lognormal  ///< shift + exp(mu + sigma·z(p))
};

inline constexpr int num_law_families = 10;

/// All of them, in the order of tables.
std::span<const LawFamily> law_families();
/// As on the command line and in records; the generator's name where it has the family.
std::string_view name_of(LawFamily family);
/// The names of the parameters, in the order in which every function here takes and gives them.
std::span<const std::string_view> parameter_names(LawFamily family);
/// The index of the parameter that sets how unequal the loads are; nullopt for uniform.
std::optional<int> shape_index(LawFamily family);
/// The generator's family with the same curve, if there is one; its shape is the parameter at shape_index.
std::optional<Family> generator_family(LawFamily family);

/// The law's loads of n places, ascending. `parameters` as named by parameter_names. The generator's families
/// are evaluated by load_curve, so what is fitted is what is generated.
std::vector<double> law_curve(LawFamily family, std::span<const double> parameters, int n);

}  // namespace epskew
