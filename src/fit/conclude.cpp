#include "fit/conclude.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "epskew/support/error.hpp"
#include "fit/streams.hpp"
#include "fit/summary.hpp"

namespace epskew::fit {
namespace {

std::string list_of(const std::vector<LawFamily>& families) {
  std::string text;
  for (std::size_t i = 0; i < families.size(); ++i) {
    const char* separator = i == 0 ? "" : i + 1 == families.size() ? " and " : ", ";
    text += fmt::format("{}{}", separator, name_of(families[i]));
  }
  return text;
}

std::string too_few_places(int places) {
  return fmt::format("{} places are fewer than the {} that can tell families apart", places,
                     min_places_to_rank);
}

/// `equals` come as low in the resamples, `bounded` lie at the end of their range; the best itself may be
/// bounded.
Verdict with_rivals(LawFamily best, const std::vector<LawFamily>& equals,
                    const std::vector<LawFamily>& bounded) {
  Verdict verdict{best, equals.empty() && bounded.empty(), {}, {}};
  if (verdict.distinguishable) return verdict;
  for (const LawFamily family : law_families()) {
    const auto in = [family](const std::vector<LawFamily>& list) {
      return std::find(list.begin(), list.end(), family) != list.end();
    };
    if (family != best && (in(equals) || in(bounded))) verdict.rivals.push_back(family);
  }
  if (!equals.empty()) {
    verdict.reason = fmt::format("{} {} as low in more than 5 % of the resamples", list_of(equals),
                                 equals.size() == 1 ? "comes" : "come");
  }
  if (!bounded.empty()) {
    verdict.reason += fmt::format("{}{} {} at the end of the searched range", equals.empty() ? "" : "; ",
                                  list_of(bounded), bounded.size() == 1 ? "lies" : "lie");
  }
  return verdict;
}

/// Mean SSE over as many layers as there are, drawn with replacement: [num_law_families][resamples].
ResampledSse resample_layers(const std::vector<std::vector<double>>& sse, int resamples,
                             RandomStream random) {
  const std::size_t layers = sse.front().size();
  ResampledSse means(num_law_families, std::vector<double>(static_cast<std::size_t>(resamples), 0.0));
  for (std::size_t i = 0; i < static_cast<std::size_t>(resamples); ++i) {
    for (std::size_t draw = 0; draw < layers; ++draw) {
      const std::size_t layer = random.below(static_cast<std::uint32_t>(layers));
      for (std::size_t f = 0; f < sse.size(); ++f) means[f][i] += sse[f][layer] / static_cast<double>(layers);
    }
  }
  return means;
}

/// "; weibull has the lowest in more layers, 9", where the law of the lowest mean is not that of the most
/// layers.
std::string most_wins_in_words(const LevelFit& level, int wins) {
  const auto most =
      std::max_element(level.families.begin(), level.families.end(),
                       [](const FamilySummary& a, const FamilySummary& b) { return a.wins < b.wins; });
  return most->wins > wins ? fmt::format("; {} has it in more, {}", name_of(most->family), most->wins) : "";
}

/// "the largest load 12 % too low", at the median layer.
std::string maximum_in_words(double error) {
  const double percent = std::round(std::abs(error) * 100);
  if (percent == 0) return "the largest load right to 1 %";
  return fmt::format("the largest load {:.0f} % too {}", percent, error < 0 ? "low" : "high");
}

}  // namespace

LawFamily lowest_sse(const std::vector<FamilyFit>& fits) {
  const FamilyFit* best = nullptr;
  for (const FamilyFit& fit : fits) {
    if (!competes(fit.least_squares.family)) continue;
    if (!best || fit.least_squares.sse < best->least_squares.sse) best = &fit;
  }
  EPSKEW_ASSERT(best != nullptr);
  return best->least_squares.family;
}

Verdict judge_layer(const std::vector<FamilyFit>& fits, int places, const ResampledSse* resampled) {
  const LawFamily best = lowest_sse(fits);
  if (places < min_places_to_rank) return {best, false, {}, too_few_places(places)};
  if (!resampled) return {best, false, {}, "no bootstrap was run"};
  std::vector<LawFamily> bounded;
  for (const FamilyFit& fit : fits) {
    if (competes(fit.least_squares.family) && fit.least_squares.at_bound)
      bounded.push_back(fit.least_squares.family);
  }
  return with_rivals(best, rivals_of(best, *resampled), bounded);
}

Verdict judge_level(const LevelFit& level, const std::vector<std::vector<double>>& sse,
                    const FitOptions& options) {
  LawFamily best = LawFamily::uniform;
  for (const FamilySummary& family : level.families) {
    const bool lower = family.mean_sse < level.families[static_cast<std::size_t>(best)].mean_sse;
    if (competes(family.family) && lower) best = family.family;
  }
  if (level.places < min_places_to_rank) return {best, false, {}, too_few_places(level.places)};
  if (options.bootstrap == 0) return {best, false, {}, "no bootstrap was run"};
  if (level.layers.size() == 1) return level.layers.front().verdict;
  const RandomStream random(options.seed, stream_of(Purpose::resample_layers, level.num_ranks));
  std::vector<LawFamily> bounded;
  for (const FamilySummary& family : level.families) {
    if (competes(family.family) && family.at_bound > 0) bounded.push_back(family.family);
  }
  return with_rivals(best, rivals_of(best, resample_layers(sse, options.bootstrap, random)), bounded);
}

std::string conclusion_of(const LevelFit& level) {
  const auto best = static_cast<std::size_t>(level.verdict.best);
  const FamilySummary& summary = level.families[best];
  const std::string where =
      level.is_expert() ? std::string("Loads of experts") : fmt::format("Loads of {} ranks", level.num_ranks);
  const std::string name(name_of(level.verdict.best));
  const std::string maximum = maximum_in_words(summary.max_error.p50);
  const std::size_t layers = level.layers.size();
  if (level.verdict.distinguishable) {
    return fmt::format(
        "{}: {} fits best by mean SSE ({:.3g}; it has the lowest SSE in {} of {} layers{}) and "
        "puts {}.",
        where, name, summary.mean_sse, summary.wins, layers, most_wins_in_words(level, summary.wins),
        maximum);
  }
  return fmt::format(
      "{}: families are not distinguishable ({}); {} has the lowest mean SSE ({:.3g}) and puts {}.", where,
      level.verdict.reason, name, summary.mean_sse, maximum);
}

}  // namespace epskew::fit
