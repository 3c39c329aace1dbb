#include "epskew/fit/likelihood.hpp"

#include <algorithm>
#include <boost/math/special_functions/digamma.hpp>
#include <boost/math/tools/minima.hpp>
#include <boost/math/tools/toms748_solve.hpp>
#include <cmath>
#include <numeric>

#include "epskew/support/error.hpp"
#include "fit/density.hpp"
#include "fit/policy.hpp"

namespace epskew {
namespace {

using Loads = std::span<const double>;

struct Estimate {
  std::vector<double> parameters;
  bool at_bound = false;
};

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::vector<double> logs_of(Loads loads, double shift = 0) {
  std::vector<double> logs(loads.size());
  std::transform(loads.begin(), loads.end(), logs.begin(), [&](double x) { return std::log(x - shift); });
  return logs;
}

/// Root of an increasing function in [low, high]; the nearer end where there is none.
template <class Function>
std::pair<double, bool> root_or_end(Function f, double low, double high) {
  const double at_low = f(low);
  const double at_high = f(high);
  if (at_low >= 0) return {low, true};
  if (at_high <= 0) return {high, true};
  std::uintmax_t steps = 200;
  const auto [a, b] = boost::math::tools::toms748_solve(f, low, high, at_low, at_high,
                                                        boost::math::tools::eps_tolerance<double>(48), steps);
  return {0.5 * (a + b), false};
}

struct NormalEstimate {
  double mean;
  double std;
};

NormalEstimate normal_of(const std::vector<double>& values) {
  const double mean = mean_of(values);
  double square = 0;
  for (const double value : values) square += (value - mean) * (value - mean);
  return {mean, std::sqrt(square / static_cast<double>(values.size()))};
}

Estimate estimate_gamma(Loads loads) {
  // ln k - digamma(k) = ln mean - mean ln; the left side falls in k.
  const double mean = std::accumulate(loads.begin(), loads.end(), 0.0) / static_cast<double>(loads.size());
  const double gap = std::log(mean) - mean_of(logs_of(loads));
  const auto excess = [&](double u) {
    return gap - (u - boost::math::digamma(std::exp(u), fit::DoubleOnly()));
  };
  const auto [u, at_bound] = root_or_end(excess, std::log(1e-3), std::log(1e8));
  return {{mean / std::exp(u), std::exp(u)}, at_bound};
}

Estimate estimate_weibull(Loads loads) {
  const std::vector<double> logs = logs_of(loads);
  const double mean_log = mean_of(logs);
  const double top = logs.back();
  double power_mean = 0;
  // Derivative of the profile likelihood over k: increasing, powers taken relative to the largest load.
  const auto slope = [&](double u) {
    const double k = std::exp(u);
    double weight = 0;
    double weighted = 0;
    for (const double log : logs) {
      const double w = std::exp(k * (log - top));
      weight += w;
      weighted += w * log;
    }
    power_mean = weight / static_cast<double>(logs.size());
    return weighted / weight - 1 / k - mean_log;
  };
  const auto [u, at_bound] = root_or_end(slope, std::log(1e-2), std::log(1e5));
  slope(u);
  return {{std::exp(top + std::log(power_mean) / std::exp(u)), std::exp(u)}, at_bound};
}

Estimate estimate_exprank(Loads loads) {
  const double rate = std::log(loads.back() / loads.front()) / static_cast<double>(loads.size());
  return {{loads.back() * std::exp(-rate / 2), rate}, false};
}

/// mean of ln(x / smallest).
double mean_log_excess(Loads loads) {
  return mean_of(logs_of(loads)) - std::log(loads.front());
}

Estimate estimate_powerlaw(Loads loads) {
  // The smallest load stands at r = n + 1/2; the largest may not come out above r = 1/2.
  const double n = static_cast<double>(loads.size());
  const double least = std::log(loads.back() / loads.front()) / std::log(2 * n + 1);
  const double alpha = std::max(mean_log_excess(loads), least);
  return {{loads.front() * std::pow(n + 0.5, alpha), alpha}, false};
}

Estimate estimate_zipf_mandelbrot(Loads loads) {
  // A power law of density x^(-1/s - 1) between the smallest and the largest load: an exponential in ln x of
  // rate a = 1/s cut at the span Y, whose mean is 1/a - Y / (e^(aY) - 1). Where the loads lean to the top
  // there is no s > 0, and the limit s, q -> infinity is exprank.
  const double n = static_cast<double>(loads.size());
  const double span = std::log(loads.back() / loads.front());
  const double mean = mean_log_excess(loads) / span;
  const double largest_ratio = 1 + 1 / 100.0;  // r + q at both ends of the law: q stops at about 100 n
  const auto excess = [&](double v) {
    const double a = std::exp(v);
    return mean - (1 / a - 1 / std::expm1(a));
  };
  const auto [v, at_bound] = root_or_end(excess, std::log(std::log(largest_ratio)), std::log(500.0));
  const double a = std::exp(v);
  const double s = span / a;
  const double q = n / std::expm1(a) - 0.5;
  const double scale = loads.back() * std::exp(-s * std::log((1 + q) / (0.5 + q)));
  return {{scale, s, q}, at_bound};
}

/// The likelihood grows without bound as the shift nears the smallest load, so the estimate is the highest
/// maximum inside the range (Hill's local maximum, JASA 58, 1963); without one, the far end: a normal law in
/// all but name.
Estimate estimate_shifted_lognormal(Loads loads) {
  const double range = loads.back() - loads.front();
  const auto shift_at = [&](double t) { return loads.front() - range * std::exp(t); };
  const auto cost = [&](double t) {
    const NormalEstimate fit = normal_of(logs_of(loads, shift_at(t)));
    return std::log(fit.std) + fit.mean;
  };
  constexpr int points = 81;
  const double low = std::log(1e-4);
  const double step = (std::log(1e3) - low) / (points - 1);
  std::vector<double> costs(points);
  for (int i = 0; i < points; ++i) costs[static_cast<std::size_t>(i)] = cost(low + i * step);
  std::size_t best = points - 1;
  for (std::size_t i = 1; i + 1 < points; ++i) {
    const bool is_minimum = costs[i] < costs[i - 1] && costs[i] <= costs[i + 1];
    if (is_minimum && costs[i] < costs[best]) best = i;
  }
  double t = low + static_cast<double>(best) * step;
  const bool at_bound = best == points - 1;
  if (!at_bound) {
    std::uintmax_t steps = 100;
    t = boost::math::tools::brent_find_minima(cost, t - step, t + step, 26, steps).first;
  }
  const NormalEstimate fit = normal_of(logs_of(loads, shift_at(t)));
  return {{shift_at(t), fit.mean, fit.std}, at_bound};
}

Estimate estimate(LawFamily family, Loads loads) {
  switch (family) {
    case LawFamily::lognormal: {
      const NormalEstimate fit = normal_of(logs_of(loads));
      return {{fit.mean, fit.std}, false};
    }
    case LawFamily::normal: {
      const NormalEstimate fit = normal_of({loads.begin(), loads.end()});
      return {{fit.mean, fit.std}, false};
    }
    case LawFamily::gamma:
      return estimate_gamma(loads);
    case LawFamily::weibull:
      return estimate_weibull(loads);
    case LawFamily::exprank:
      return estimate_exprank(loads);
    case LawFamily::powerlaw:
      return estimate_powerlaw(loads);
    case LawFamily::pareto:
      return {{loads.front(), 1 / mean_log_excess(loads)}, false};
    case LawFamily::zipf_mandelbrot:
      return estimate_zipf_mandelbrot(loads);
    default:
      EPSKEW_EXPECT(family == LawFamily::shifted_lognormal);
      return estimate_shifted_lognormal(loads);
  }
}

double ks_distance(const fit::Density& law, Loads loads) {
  const double n = static_cast<double>(loads.size());
  double distance = 0;
  for (std::size_t i = 0; i < loads.size(); ++i) {
    const double f = fit::cumulative(law, loads[i]);
    distance = std::max({distance, static_cast<double>(i + 1) / n - f, f - static_cast<double>(i) / n});
  }
  return distance;
}

}  // namespace

std::optional<std::string> no_likelihood(LawFamily family, Loads loads) {
  if (family == LawFamily::uniform) return "allows only equal loads";
  const bool any_load = family == LawFamily::normal || family == LawFamily::shifted_lognormal;
  if (!any_load && loads.front() <= 0) return "allows only positive loads, and a place has none";
  return std::nullopt;
}

bool has_regular_likelihood(LawFamily family) {
  return family == LawFamily::lognormal || family == LawFamily::gamma || family == LawFamily::weibull ||
         family == LawFamily::normal || family == LawFamily::shifted_lognormal;
}

LikelihoodFit fit_likelihood(LawFamily family, Loads loads) {
  EPSKEW_EXPECT(!no_likelihood(family, loads));
  Estimate found = estimate(family, loads);
  const fit::Density law{family, found.parameters, static_cast<int>(loads.size())};
  LikelihoodFit fit;
  fit.family = family;
  fit.at_bound = found.at_bound;
  for (const double x : loads) fit.log_likelihood += fit::log_density(law, x);
  const double k = static_cast<double>(found.parameters.size());
  fit.aic = 2 * k - 2 * fit.log_likelihood;
  fit.bic = k * std::log(static_cast<double>(loads.size())) - 2 * fit.log_likelihood;
  fit.ks = ks_distance(law, loads);
  fit.parameters = std::move(found.parameters);
  return fit;
}

}  // namespace epskew
