#include "fit/conclude.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "epskew/fit/fit.hpp"

namespace epskew {
namespace {

std::size_t index_of(LawFamily family) {
  return static_cast<std::size_t>(family);
}

/// Every family with an SSE of its own, gamma the lowest.
std::vector<FamilyFit> gamma_lowest() {
  std::vector<FamilyFit> fits(num_law_families);
  for (const LawFamily family : law_families()) {
    FamilyFit& fit = fits[index_of(family)];
    fit.least_squares.family = family;
    fit.least_squares.sse = family == LawFamily::gamma ? 1 : 2;
  }
  return fits;
}

/// Resamples that all agree with gamma_lowest().
fit::ResampledSse sure_of_gamma() {
  fit::ResampledSse sse(num_law_families, std::vector<double>(100, 2.0));
  sse[index_of(LawFamily::gamma)].assign(100, 1.0);
  return sse;
}

TEST(JudgeLayer, NamesTheFamilyThatAllResamplesAgreeWith) {
  const auto sse = sure_of_gamma();

  const Verdict verdict = fit::judge_layer(gamma_lowest(), 64, &sse);

  EXPECT_EQ(verdict.best, LawFamily::gamma);
  EXPECT_TRUE(verdict.distinguishable);
}

// What a competitor at the end of its range could reach beyond it nobody knows.
TEST(JudgeLayer, NamesNoneWhileACompetitorLiesAtTheEndOfItsRange) {
  const auto sse = sure_of_gamma();
  auto bounded = gamma_lowest();
  bounded[index_of(LawFamily::weibull)].least_squares.at_bound = true;

  const Verdict verdict = fit::judge_layer(bounded, 64, &sse);

  EXPECT_FALSE(verdict.distinguishable);
  EXPECT_EQ(verdict.rivals, std::vector<LawFamily>{LawFamily::weibull});
  EXPECT_EQ(verdict.reason, "weibull lies at the end of the searched range");
}

TEST(JudgeLayer, NamesNoneThatLiesAtTheEndOfItsRangeItself) {
  const auto sse = sure_of_gamma();
  auto bounded = gamma_lowest();
  bounded[index_of(LawFamily::gamma)].least_squares.at_bound = true;

  const Verdict verdict = fit::judge_layer(bounded, 64, &sse);

  EXPECT_FALSE(verdict.distinguishable);
  EXPECT_EQ(verdict.reason, "gamma lies at the end of the searched range");
}

TEST(JudgeLayer, LawsThatDoNotCompeteMayLieAtTheEnd) {
  const auto sse = sure_of_gamma();
  auto bounded = gamma_lowest();
  bounded[index_of(LawFamily::zipf_mandelbrot)].least_squares.at_bound = true;

  EXPECT_TRUE(fit::judge_layer(bounded, 64, &sse).distinguishable);
}

/// 26 layers, of which gamma has the lowest SSE in 6 and weibull in `weibull_wins`.
LevelFit level(int weibull_wins) {
  LevelFit level;
  level.layers.resize(26);
  level.verdict.best = LawFamily::gamma;
  level.verdict.distinguishable = true;
  for (const LawFamily family : law_families()) {
    FamilySummary summary;
    summary.family = family;
    summary.mean_sse = 2;
    level.families.push_back(summary);
  }
  level.families[index_of(LawFamily::gamma)].mean_sse = 0.5;
  level.families[index_of(LawFamily::gamma)].wins = 6;
  level.families[index_of(LawFamily::weibull)].wins = weibull_wins;
  return level;
}

TEST(Conclusion, SaysByWhatTheBestIsBest) {
  EXPECT_EQ(
      fit::conclusion_of(level(5)),
      "Loads of experts: gamma fits best by mean SSE (0.5; it has the lowest SSE in 6 of 26 layers) and puts "
      "the largest load right to 1 %.");
}

// Regression: the table had more wins for another family, and the sentence did not say why that is not the
// best.
TEST(Conclusion, TellsOfTheFamilyThatWinsMoreLayers) {
  EXPECT_NE(fit::conclusion_of(level(20)).find("in 6 of 26 layers; weibull has it in more, 20)"),
            std::string::npos)
      << fit::conclusion_of(level(20));
}

}  // namespace
}  // namespace epskew
