#include "fit/bootstrap.hpp"

#include <algorithm>
#include <numeric>

#include "fit/density.hpp"
#include "fit/summary.hpp"

namespace epskew::fit {
namespace {

constexpr double confidence = 0.95;

std::vector<Interval> intervals_of(std::vector<std::vector<double>>& parameters) {
  std::vector<Interval> intervals;
  for (std::vector<double>& values : parameters) {
    std::sort(values.begin(), values.end());
    intervals.push_back(
        {quantile_of(values, (1 - confidence) / 2), quantile_of(values, (1 + confidence) / 2)});
  }
  return intervals;
}

/// As many loads as there are, drawn with replacement, ascending with mean 1.
std::vector<double> draw_loads(std::span<const double> loads, RandomStream& random) {
  std::vector<double> drawn(loads.size());
  double sum = 0;
  while (sum == 0) {  // a draw of places without any load is no set of loads
    for (double& load : drawn) load = loads[random.below(static_cast<std::uint32_t>(loads.size()))];
    sum = std::accumulate(drawn.begin(), drawn.end(), 0.0);
  }
  std::sort(drawn.begin(), drawn.end());
  for (double& load : drawn) load *= static_cast<double>(loads.size()) / sum;
  return drawn;
}

}  // namespace

bool competes(LawFamily family) {
  return parameter_names(family).size() <= 2;
}

std::vector<LawFamily> rivals_of(LawFamily best, const ResampledSse& sse) {
  std::vector<LawFamily> rivals;
  const std::vector<double>& low = sse[static_cast<std::size_t>(best)];
  for (const LawFamily family : law_families()) {
    if (family == best || !competes(family)) continue;
    const std::vector<double>& other = sse[static_cast<std::size_t>(family)];
    int higher = 0;
    for (std::size_t i = 0; i < low.size(); ++i) higher += other[i] > low[i];
    if (higher < confidence * static_cast<double>(low.size())) rivals.push_back(family);
  }
  return rivals;
}

ResampledSse resample_loads(const LeastSquares& least_squares, std::span<const double> loads, int resamples,
                            RandomStream random, std::vector<FamilyFit>& fits) {
  ResampledSse sse(num_law_families);
  std::vector<std::vector<std::vector<double>>> parameters(num_law_families);
  for (const LawFamily family : law_families()) {
    parameters[static_cast<std::size_t>(family)].resize(parameter_names(family).size());
  }
  for (int i = 0; i < resamples; ++i) {
    const std::vector<double> drawn = draw_loads(loads, random);
    for (const LawFamily family : law_families()) {
      const auto f = static_cast<std::size_t>(family);
      const ApproximateFit fit = least_squares.approximate(family, drawn);
      sse[f].push_back(fit.sse);
      for (std::size_t p = 0; p < fit.parameters.size(); ++p) parameters[f][p].push_back(fit.parameters[p]);
    }
  }
  for (std::size_t f = 0; f < fits.size(); ++f) fits[f].intervals = intervals_of(parameters[f]);
  return sse;
}

void simulate_likelihood(FamilyFit& fit, int places, int resamples, RandomStream random) {
  const LikelihoodFit& original = *fit.likelihood;
  const Density law{original.family, original.parameters, places};
  std::vector<std::vector<double>> parameters(original.parameters.size());
  std::vector<double> drawn(static_cast<std::size_t>(places));
  int as_far = 0;
  for (int i = 0; i < resamples; ++i) {
    for (double& load : drawn) load = quantile(law, random.uniform());
    std::sort(drawn.begin(), drawn.end());
    const LikelihoodFit again = fit_likelihood(original.family, drawn);
    as_far += again.ks >= original.ks;
    for (std::size_t p = 0; p < parameters.size(); ++p) parameters[p].push_back(again.parameters[p]);
  }
  fit.ks_p = (1.0 + as_far) / (1.0 + resamples);
  fit.likelihood_intervals = intervals_of(parameters);
}

}  // namespace epskew::fit
