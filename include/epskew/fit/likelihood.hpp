#pragma once

/// Laws fitted to loads by maximum likelihood, with AIC, BIC and the Kolmogorov–Smirnov distance.
///
/// The load of a place is a draw from the law. A rank-size law is the distribution of its curve at a rank
/// drawn evenly from [1/2, n + 1/2]: exprank is log-uniform, powerlaw a Pareto cut off at the top,
/// zipf_mandelbrot a power law between free bounds. Bounds take their estimates from the smallest and largest
/// load, as xmin of pareto does; AIC and BIC count them as parameters like any other.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "epskew/fit/law.hpp"

namespace epskew {

struct LikelihoodFit {
  LawFamily family = LawFamily::lognormal;
  std::vector<double> parameters;  ///< as named by parameter_names
  double log_likelihood = 0;       ///< natural, of loads in units of their mean
  double aic = 0;                  ///< 2k - 2 log_likelihood
  double bic = 0;                  ///< k ln n - 2 log_likelihood
  double ks = 0;          ///< largest distance between the law's and the loads' distribution functions
  bool at_bound = false;  ///< no maximum inside the searched range: the law runs into a limit
};

/// Why the family has no likelihood for these loads; nullopt where it has one. uniform never has: it allows
/// only equal loads. Laws of positive loads have none where a place has no load.
std::optional<std::string> no_likelihood(LawFamily family, std::span<const double> loads);

/// Whether AIC and BIC of the family mean what they say. Not where loads set the law's bounds (pareto,
/// exprank, powerlaw, zipf_mandelbrot): such a law hugs the loads it was made from, and its likelihood
/// flatters it.
bool has_regular_likelihood(LawFamily family);

/// `loads`: [n] ascending, mean 1, not all equal. Precondition: !no_likelihood(family, loads).
LikelihoodFit fit_likelihood(LawFamily family, std::span<const double> loads);

}  // namespace epskew
