#include "workload/law.hpp"

#include <algorithm>
#include <cmath>

#include "workload/exponential_curve.hpp"
#include "workload/spread.hpp"

namespace epskew {
namespace {

/// The recorded quantile curve at (i - 1/2) / n, linear between its points, flat outside.
std::vector<double> resample(const std::vector<double>& recorded, int n) {
  std::vector<double> loads(static_cast<std::size_t>(n));
  const auto last = static_cast<double>(recorded.size() - 1);
  for (int i = 0; i < n; ++i) {
    const double at = std::clamp((i + 0.5) / n * static_cast<double>(recorded.size()) - 0.5, 0.0, last);
    const auto below = static_cast<std::size_t>(at);
    const double part = at - static_cast<double>(below);
    const double above = recorded[std::min(below + 1, recorded.size() - 1)];
    loads[static_cast<std::size_t>(i)] = recorded[below] + part * (above - recorded[below]);
  }
  return loads;
}

std::vector<double> logarithms(std::vector<double> loads) {
  for (double& load : loads) load = std::log(load);
  return loads;
}

std::vector<double> one_hot(int n) {
  std::vector<double> loads(static_cast<std::size_t>(n), 0.0);
  loads.back() = n;
  return loads;
}

}  // namespace

Law Law::of_shape(const WorkloadSpec& spec) {
  Law law;
  law.family_ = spec.family;
  law.shape_ = spec.curve.empty() ? spec.shape.value_or(0.0) : 1.0;
  law.recorded_ = spec.curve;
  law.recorded_name_ = spec.curve_name;
  return law;
}

Law Law::of_spread(const WorkloadSpec& spec, double spread) {
  Law law = of_shape(spec);
  law.shape_ = spec.curve.empty() ? shape_of_spread(spec.family, spread) : spread;
  return law;
}

Law Law::of_factor(const WorkloadSpec& spec, double factor, int n) {
  Law law = of_shape(spec);
  law.all_on_one_ = factor >= n && n > 1;
  if (law.all_on_one_) return law;
  if (spec.curve.empty()) {
    law.shape_ = shape_for_factor(spec.family, factor, n);
    return law;
  }
  const std::vector<double> basis = logarithms(resample(spec.curve, n));
  law.shape_ = solve_increasing(
      [&](double power) { return factor_of_curve(exponential_curve(basis, power)); }, factor);
  return law;
}

std::vector<double> Law::curve(int n) const {
  if (all_on_one_) return one_hot(n);
  if (recorded_.empty()) return load_curve(family_, shape_, n);
  std::vector<double> loads = exponential_curve(logarithms(resample(recorded_, n)), shape_);
  normalise_and_snap(loads);
  return loads;
}

std::string Law::name() const {
  return recorded_.empty() ? std::string(name_of(family_)) : recorded_name_;
}

std::map<std::string, double> Law::parameters() const {
  if (all_on_one_ || !std::isfinite(shape_)) return {};
  if (!recorded_.empty()) return {{"power", shape_}};
  if (family_ == Family::uniform) return {};
  return {{std::string(shape_name(family_)), shape_}};
}

}  // namespace epskew
