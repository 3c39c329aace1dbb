#include "epskew/fit/law.hpp"

#include <array>
#include <cmath>

#include "epskew/support/error.hpp"
#include "fit/curves.hpp"

namespace epskew {
namespace {

using std::string_view;

struct Facts {
  LawFamily family;
  string_view name;
  std::array<string_view, 3> parameters;
  std::size_t num_parameters;
  int shape;  ///< index into parameters, -1 = none
  std::optional<Family> generator;
};

constexpr std::array<Facts, num_law_families> facts{{
    {LawFamily::uniform, "uniform", {"scale"}, 1, -1, Family::uniform},
    {LawFamily::lognormal, "lognormal", {"mu", "sigma"}, 2, 1, Family::lognormal},
    {LawFamily::gamma, "gamma", {"scale", "shape"}, 2, 1, Family::gamma},
    {LawFamily::weibull, "weibull", {"scale", "shape"}, 2, 1, Family::weibull},
    {LawFamily::normal, "normal", {"mean", "std"}, 2, 1, std::nullopt},
    {LawFamily::exprank, "exprank", {"scale", "rate"}, 2, 1, Family::exprank},
    {LawFamily::powerlaw, "powerlaw", {"scale", "alpha"}, 2, 1, Family::powerlaw},
    {LawFamily::pareto, "pareto", {"xmin", "alpha"}, 2, 1, std::nullopt},
    {LawFamily::zipf_mandelbrot, "zipf-mandelbrot", {"scale", "s", "q"}, 3, 1, std::nullopt},
    {LawFamily::shifted_lognormal, "shifted-lognormal", {"shift", "mu", "sigma"}, 3, 2, std::nullopt},
}};

constexpr std::array<LawFamily, num_law_families> families = [] {
  std::array<LawFamily, num_law_families> all{};
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = facts[i].family;
  return all;
}();

const Facts& facts_of(LawFamily family) {
  const Facts& found = facts[static_cast<std::size_t>(family)];
  EPSKEW_ASSERT(found.family == family);
  return found;
}

/// offset + scale · basis whose parameters are these.
struct Linear {
  fit::Shape shape;
  double offset = 0;
  double literature_scale = 1;
};

Linear linear_of(LawFamily family, std::span<const double> p) {
  switch (family) {
    case LawFamily::uniform:
      return {{}, 0, p[0]};
    case LawFamily::lognormal:
      return {{p[1], 0}, 0, std::exp(p[0])};
    case LawFamily::normal:
      return {{}, p[0], p[1]};
    case LawFamily::zipf_mandelbrot:
      return {{p[1], p[2]}, 0, p[0]};
    case LawFamily::shifted_lognormal:
      return {{p[2], 0}, p[0], std::exp(p[1])};
    default:
      return {{p[1], 0}, 0, p[0]};
  }
}

}  // namespace

std::span<const LawFamily> law_families() {
  return families;
}

string_view name_of(LawFamily family) {
  return facts_of(family).name;
}

std::span<const string_view> parameter_names(LawFamily family) {
  const Facts& f = facts_of(family);
  return {f.parameters.data(), f.num_parameters};
}

std::optional<int> shape_index(LawFamily family) {
  const int index = facts_of(family).shape;
  return index < 0 ? std::nullopt : std::optional(index);
}

std::optional<Family> generator_family(LawFamily family) {
  return facts_of(family).generator;
}

std::vector<double> law_curve(LawFamily family, std::span<const double> parameters, int n) {
  EPSKEW_EXPECT(parameters.size() == parameter_names(family).size());
  const Linear law = linear_of(family, parameters);
  std::vector<double> curve = fit::basis_curve(family, law.shape, n);
  const double factor = law.literature_scale * fit::literature_top(family, law.shape, n) / curve.back();
  for (double& y : curve) y = law.offset + factor * y;
  return curve;
}

}  // namespace epskew
