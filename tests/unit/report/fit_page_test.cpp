#include <gtest/gtest.h>

#include <cmath>

#include "epskew/fit/fit.hpp"
#include "epskew/report/html.hpp"
#include "report/html/fit_sections.hpp"

namespace epskew {
namespace {

/// Counts that fall by a factor of two thirds from expert to expert, in two layers.
FitReport sample_fit() {
  Trace trace;
  trace.format = "csv";
  trace.source = "recording <1>.csv";
  trace.num_experts = 16;
  for (const int layer : {3, 5}) {
    TraceLayer made;
    made.layer = layer;
    for (int i = 0; i < 16; ++i)
      made.counts.push_back(static_cast<std::int64_t>(10000 * std::pow(2.0 / 3, i)) + layer);
    trace.layers.push_back(made);
  }
  FitOptions options;
  options.num_ranks = {4, 8};
  options.window_tokens = {};
  options.bootstrap = 0;
  return fit_trace(trace, options);
}

TEST(FitPage, DrawsEveryFamilyAgainstTheMeanLoadsOfEveryLevel) {
  const FitReport report = sample_fit();

  const Figure figure = curve_section(report).figures.at(0);

  ASSERT_EQ(figure.table.rows.size(), 16u + 4u + 8u);
  ASSERT_EQ(figure.table.columns.size(), 3u + num_law_families);
  EXPECT_EQ(figure.plot.at("curves").size(), static_cast<std::size_t>(num_law_families));
  const auto& first = figure.table.rows[0];
  EXPECT_EQ(first[0].text, "experts");
  EXPECT_EQ(first[1].exact, 1.0);
  EXPECT_NEAR(first[2].exact.value(), report.levels[0].mean_loads.back(), 1e-4);  // the largest load first
  EXPECT_EQ(figure.table.rows[16][0].text, "4 ranks");
}

TEST(FitPage, OrdersFamiliesByTheirError) {
  const FitReport report = sample_fit();

  const Figure figure = family_section(report).figures.at(0);

  ASSERT_EQ(figure.table.rows.size(), 3u * num_law_families);
  for (std::size_t i = 1; i < static_cast<std::size_t>(num_law_families); ++i) {
    EXPECT_LE(figure.table.rows[i - 1][2].exact.value(), figure.table.rows[i][2].exact.value()) << i;
  }
  // Counts in geometric progression are exponential in rank.
  EXPECT_EQ(curve_section(report).figures.at(1).table.columns[4], figure.table.rows[0][1].text);
}

TEST(FitPage, RowsAreAsLongAsTheirHeadings) {
  const FitReport report = sample_fit();

  for (const auto section : {curve_section, family_section, pooling_section, window_section, layer_section}) {
    const Section made = section(report);
    std::vector<Table> tables = made.tables;
    for (const Figure& figure : made.figures) tables.push_back(figure.table);
    for (const Table& table : tables) {
      EXPECT_FALSE(table.rows.empty()) << table.caption;
      for (const auto& row : table.rows) ASSERT_EQ(row.size(), table.columns.size()) << table.caption;
    }
  }
}

// 26 layers of 64 experts and three world sizes, as DeepSeek-V2-Lite has.
TEST(FitPage, ShowsThreeLayersOfALevelWhereAllWouldBeTooMany) {
  FitReport report = sample_fit();
  LevelFit& experts = report.levels[0];
  while (experts.layers.size() < 300) experts.layers.push_back(experts.layers[0]);
  experts.layers[7].factor = 100;  // the most skewed
  experts.layers[7].layer = 77;

  const Figure figure = curve_section(report).figures.at(1);

  EXPECT_NE(figure.note.find("the least, the middle and the most skewed"), std::string::npos);
  ASSERT_EQ(figure.table.rows.size(), 3u * 16 + 2 * 4 + 2 * 8);
  EXPECT_EQ(figure.table.rows[2 * 16][1].text, "layer 77");
}

TEST(FitPage, SaysWhatTheFitConcludesAndHowToRepeatIt) {
  const FitReport report = sample_fit();

  const std::string page =
      fit_page(report, {"9.9.9", {"epskew", "fit", "recording <1>.csv"}, "2026-01-02T03:04:05Z"});

  EXPECT_NE(page.find("epskew fit 'recording &lt;1&gt;.csv'"), std::string::npos);
  EXPECT_NE(page.find("<h1>" + report.levels[0].conclusion), std::string::npos);
  EXPECT_EQ(page.find("recording <1>"), std::string::npos);
}

}  // namespace
}  // namespace epskew
