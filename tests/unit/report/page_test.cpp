#include <gtest/gtest.h>

#include <regex>

#include "epskew/report/html.hpp"
#include "epskew/report/json.hpp"
#include "epskew/support/error.hpp"
#include "epskew/workload/family.hpp"
#include "helpers/usage_error.hpp"
#include "report/html/number.hpp"
#include "report/html/sections.hpp"
#include "report/html/write_page.hpp"
#include "unit/report/sample_record.hpp"

namespace epskew {
namespace {

/// Words and numbers of a sentence, as a reader sees them.
std::string text_of(const Sentence& sentence) {
  std::string out;
  for (const Value& value : sentence) out += value.text;
  return out;
}

Page headline_of(const std::vector<NamedRecord>& results) {
  Page page;
  write_headline(results, page);
  return page;
}

NamedRecord sample(double ratio, double low, double high) {
  NamedRecord result{"a", test::sample_record()};
  result.record.rounds[2].cost_of_imbalance = CostRecord{ratio, low, high, "1.0", {}};
  return result;
}

TEST(Headline, StatesCostFactorAndPaceSetter) {
  const Page page = headline_of({sample(1.424, 1.38, 1.47)});

  EXPECT_EQ(text_of(page.headline),
            "At imbalance factor 1.5, dispatch + combine takes 1.42× (1.38–1.47) as long as balanced; rank 1 "
            "sets the "
            "pace");
  // sample_record: rank 1 takes 48..51 µs in the skewed round, 32..35 in the balanced one.
  EXPECT_EQ(
      text_of(page.support.at(0)),
      "The slowest rank needs 49.5 µs against 33.5 µs in the balanced round (medians of 4 iterations; the "
      "range is "
      "a 95 % interval). Rank 1 is the slowest in 100 % of 4 iterations; it is the hot rank, with 48 "
      "selections against a mean of 32.0. The oracle passed before and after every round. Emulation: 2 ranks "
      "on 1 GPU; no measured time holds a link between GPUs.");
}

TEST(Headline, ClaimsNoDifferenceWhereTheIntervalHoldsOne) {
  const Page page = headline_of({sample(1.02, 0.97, 1.08)});

  EXPECT_EQ(
      text_of(page.headline),
      "At imbalance factor 1.5, dispatch + combine shows no difference from balanced: 1.02× (0.97–1.08)");
}

/// The skewed round with other times of dispatch + combine.
NamedRecord timed(SampleMatrix samples) {
  NamedRecord result = sample(1.5, 1.4, 1.6);
  result.record.rounds[2].timing[static_cast<std::size_t>(Phase::dispatch_combine)]->samples_us =
      std::move(samples);
  return result;
}

TEST(Headline, NamesNoPaceSetterThatIsSlowestInHalfTheIterations) {
  const Page page = headline_of({timed({3, {2, 1, 1, 2, 1, 1, 1, 2, 1, 1, 1, 2}})});

  EXPECT_EQ(text_of(page.headline).find("sets the pace"), std::string::npos);
  EXPECT_NE(
      text_of(page.support.at(0))
          .find("No single rank sets the pace; rank 0 is the slowest most often, in 50 % of 4 iterations"),
      std::string::npos);
}

// One thread that plays all ranks has one time for all of them.
TEST(Headline, NamesNoRankWhereAllTie) {
  const NamedRecord result = timed({2, {5, 5, 6, 6, 7, 7}});

  const Page page = headline_of({result});
  const Table table = rank_section(std::vector{result}).figures.at(0).table;

  EXPECT_EQ(text_of(page.headline).find("sets the pace"), std::string::npos);
  EXPECT_EQ(text_of(page.support.at(0)).find("slowest in"), std::string::npos);
  EXPECT_EQ(text_of(page.support.at(0)).find("slowest most often"), std::string::npos);
  EXPECT_TRUE(table.rows.at(4)[9].missing);  // dispatch + combine of the third round, rank 0
}

TEST(Headline, WarnsOfAWrongResult) {
  NamedRecord result = sample(1.5, 1.4, 1.6);
  result.record.rounds[1].oracle.after = "rank 1 token 3 column 5 differs";

  const std::string text = text_of(headline_of({result}).support.at(0));

  EXPECT_NE(text.find("wrong result in round 1.0: rank 1 token 3 column 5 differs. Its times mean nothing."),
            std::string::npos);
  EXPECT_EQ(text.find("oracle passed"), std::string::npos);
}

TEST(Headline, SpansTheResultsOfOneFactor) {
  const Page page = headline_of({sample(1.75, 1.7, 1.8), sample(1.25, 1.2, 1.3), sample(1.5, 1.4, 1.6)});

  EXPECT_EQ(
      text_of(page.headline),
      "At imbalance factor 1.5, dispatch + combine takes 1.25× to 1.75× as long as balanced in 3 results");
  EXPECT_EQ(page.headline.at(3).source, "1:/rounds/2/cost_of_imbalance/ratio");
  EXPECT_EQ(page.support.size(), 3u);
}

TEST(Headline, SpeaksOfTimesWhereThereIsNoBalancedRound) {
  NamedRecord result{"a", test::sample_record()};
  result.record.rounds = {result.record.rounds[0]};

  EXPECT_EQ(text_of(headline_of({result}).headline),
            "At imbalance factor 1.06, dispatch + combine takes 35.5 µs on the slowest rank");
}

/// One iteration each, in which no round has a median: 150 µs in the skewed one, 120 in the others.
NamedRecord timed_once() {
  NamedRecord once{"a", test::sample_record()};
  for (RoundRecord& round : once.record.rounds) {
    round.cost_of_imbalance.reset();
    const double time = round.target_factor == 1.5 ? 150 : 120;
    for (auto& timing : round.timing) {
      if (!timing) continue;
      timing->samples_us = SampleMatrix{timing->samples_us.num_ranks, {time, 80}};
      timing->slowest_rank = Summary{time, time, time, {}, {}, {}};
    }
  }
  return once;
}

// Regression: a simulated run, of one iteration, was said to take "– µs", then a time but not what it costs.
TEST(Headline, HoldsMeansAgainstEachOtherWhereThereAreNoMedians) {
  const Page page = headline_of({timed_once()});

  EXPECT_EQ(
      text_of(page.headline),
      "At imbalance factor 1.5, dispatch + combine takes 1.25× as long as balanced: 150 µs on the slowest "
      "rank against 120 µs (means: too few iterations for medians and an interval)");
  EXPECT_EQ(page.headline.at(5).source, "0:/rounds/2/timing/dispatch_combine/slowest_rank/mean");
  EXPECT_EQ(page.headline.at(7).source, "0:/rounds/1/timing/dispatch_combine/slowest_rank/mean");
}

// Regression: a rank was "the slowest in 100 % of 1 iterations".
TEST(Headline, NamesNoPaceSetterOfTooFewIterations) {
  const Page page = headline_of({timed_once()});

  EXPECT_EQ(text_of(page.support.at(0)).find("slowest"), std::string::npos) << text_of(page.support.at(0));
}

TEST(Headline, SpansResultsOfMeansToo) {
  NamedRecord dearer = timed_once();
  dearer.record.rounds[2].timing[static_cast<std::size_t>(Phase::dispatch_combine)]->slowest_rank.mean = 300;

  const Page page = headline_of({timed_once(), dearer});

  EXPECT_EQ(
      text_of(page.headline),
      "At imbalance factor 1.5, dispatch + combine takes 1.25× to 2.50× as long as balanced in 2 results");
}

TEST(Headline, OfOneIterationWithoutABalancedRoundStatesItsMean) {
  NamedRecord once = timed_once();
  once.record.rounds = {once.record.rounds[0]};

  EXPECT_EQ(text_of(headline_of({once}).headline),
            "At imbalance factor 1.06, dispatch + combine takes 120 µs on the slowest rank (a mean: too few "
            "iterations for a median)");
}

// A balanced round alone is held against nothing.
TEST(Headline, OfTheBalancedRoundAloneStatesItsTime) {
  NamedRecord result{"a", test::sample_record()};
  result.record.rounds = {result.record.rounds[1]};

  EXPECT_EQ(text_of(headline_of({result}).headline),
            "At imbalance factor 1.0, dispatch + combine takes 33.5 µs on the slowest rank");
}

/// A result of so many ranks whose skewed round takes `ratio` times as long as the balanced one.
NamedRecord scaled(const char* name, int ranks, double ratio) {
  NamedRecord result{name, test::sample_record()};
  result.record.config.num_ranks = ranks;
  for (const Phase phase : {Phase::dispatch, Phase::combine, Phase::dispatch_combine}) {
    const auto index = static_cast<std::size_t>(phase);
    result.record.rounds[1].timing[index]->slowest_rank.p50 = 40;
    result.record.rounds[2].timing[index]->slowest_rank.p50 = 40 * ratio;
  }
  return result;
}

TEST(ScaleSection, SetsTheCostOfEveryFactorAgainstTheNumberOfRanks) {
  const auto section = scale_section(std::vector{scaled("few", 64, 2.5), scaled("many", 256, 2.25)});

  ASSERT_TRUE(section);
  const Table& table = section->figures.at(0).table;
  ASSERT_EQ(table.rows.size(), 6u);  // uniform and balanced rounds have no cost; three phases
  EXPECT_EQ(text_of(table.rows[0]),
            "fewcpu, emulation, dispatch=directdispatch + combinefactor 1.5642.50010040.0");
  EXPECT_EQ(text_of(table.rows[1]),
            "manycpu, emulation, dispatch=directdispatch + combinefactor 1.52562.25090.040.0");
  EXPECT_EQ(table.rows[1][4].source, "1:/config/num_ranks");
  EXPECT_EQ(table.rows[1][6].source, "1:/rounds/2/timing/dispatch_combine/slowest_rank/p50");
  EXPECT_EQ(table.rows[1][7].source, "1:/rounds/1/timing/dispatch_combine/slowest_rank/p50");
}

TEST(ScaleSection, TakesMeansWhereThereAreNoMedians) {
  std::vector results{scaled("few", 64, 2), scaled("many", 256, 2)};
  for (auto& timing : results[1].record.rounds[2].timing) {
    if (!timing) continue;
    timing->slowest_rank.p50.reset();
    timing->slowest_rank.mean = 120;
  }

  const auto section = scale_section(results);

  const auto& row = section.value().figures.at(0).table.rows.at(1);
  EXPECT_EQ(row[5].exact, 3.0);
  EXPECT_EQ(row[6].source, "1:/rounds/2/timing/dispatch_combine/slowest_rank/mean");
}

TEST(ScaleSection, IsLeftOutWhereThereIsOneSizeOnly) {
  EXPECT_FALSE(scale_section(std::vector{scaled("a", 64, 2), scaled("b", 64, 3)}));
}

TEST(ScaleSection, LetsTheReaderChooseWhereKindsDiffer) {
  std::vector results{scaled("few", 64, 2), scaled("many", 256, 2)};
  EXPECT_FALSE(scale_section(results)->figures.at(0).plot.contains("select"));
  results[1].record.emulation.reset();
  results[1].record.simulation = SimulationRecord{"a simulator", "a machine", false};

  const auto section = scale_section(results);

  EXPECT_EQ(section.value().figures.at(0).plot["select"], nlohmann::json::array({"kind"}));
  EXPECT_EQ(section->figures.at(0).table.rows.at(1)[1].text, "cpu, a simulator");
}

TEST(ScaleSection, KeepsSchedulesAndVariantsOfOneSizeApart) {
  std::vector results{scaled("few", 64, 2), scaled("together", 256, 3), scaled("pairwise", 256, 2),
                      scaled("other", 256, 2)};
  for (NamedRecord& result : results) result.record.emulation.reset();
  results[0].record.config.variants = {{"exchange", "node"}};
  results[1].record.simulation = SimulationRecord{"a simulator, messages together", "a machine", false};
  results[2].record.simulation = SimulationRecord{"a simulator, messages pairwise", "a machine", false};
  results[3].record.config.variants = {{"exchange", "rma"}, {"ranks-per-node", "2"}};

  const auto section = scale_section(results);

  const Table& table = section.value().figures.at(0).table;
  EXPECT_EQ(table.rows.at(0)[1].text, "cpu, exchange=node");
  EXPECT_EQ(table.rows.at(1)[1].text, "cpu, a simulator, messages together");
  EXPECT_EQ(table.rows.at(2)[1].text, "cpu, a simulator, messages pairwise");
  EXPECT_EQ(table.rows.at(3)[1].text, "cpu, exchange=rma, ranks-per-node=2");
  EXPECT_EQ(section->figures.at(0).plot["select"], nlohmann::json::array({"kind"}));
}

// Regression: its page was empty.
TEST(ReportPage, RefusesAResultWithoutRounds) {
  const std::vector<NamedRecord> results = {{"full", test::sample_record()}, {"bare", test::sample_record()}};
  std::vector<NamedRecord> one_bare = results;
  one_bare[1].record.rounds.clear();

  EXPECT_EQ(test::usage_error_of([&] { report_page(results); }), "");
  EXPECT_EQ(test::usage_error_of([&] { report_page(one_bare); }),
            "bare has no rounds (there is nothing to show); run the benchmark again with --json");
}

TEST(LatencySection, HoldsEveryRoundAgainstTheBalancedOne) {
  const std::vector<NamedRecord> results = {{"a", test::sample_record()}};

  const Table table = latency_section(results).figures.at(0).table;

  ASSERT_EQ(table.rows.size(), 9u);  // 3 phases × 3 rounds
  const auto& skewed = table.rows[2];
  EXPECT_EQ(skewed[0].text, "dispatch + combine");
  EXPECT_EQ(skewed[1].text, "factor 1.5");
  EXPECT_EQ(skewed[2].exact, 1.5);
  EXPECT_EQ(skewed[3].exact, 49.5);
  EXPECT_EQ(skewed[3].source, "0:/rounds/2/timing/dispatch_combine/slowest_rank/p50");
  EXPECT_TRUE(skewed[4].missing);  // four samples support no p10
  EXPECT_EQ(skewed[6].exact, 33.5);
  EXPECT_EQ(skewed[6].source, "0:/rounds/1/timing/dispatch_combine/slowest_rank/p50");
}

TEST(LatencySection, OfOneIterationShowsItsMean) {
  const NamedRecord once = timed_once();

  const Section section = latency_section(std::vector{once});

  ASSERT_EQ(section.figures.size(), 1u);  // no quantiles
  const auto& skewed = section.figures[0].table.rows.at(2);
  EXPECT_EQ(skewed[3].exact, 150);
  EXPECT_EQ(skewed[3].source, "0:/rounds/2/timing/dispatch_combine/slowest_rank/mean");
  EXPECT_EQ(skewed[6].exact, 120);
}

TEST(LoadSection, DrawsTheLawOnlyWhereItFits) {
  NamedRecord fits{"a", test::sample_record()};
  // Two ranks under lognormal: loads exp(±0.6745 sigma) scaled to mean 1; sigma = ln(3) / (2 · 0.6745) gives
  // 48 and 16.
  fits.record.rounds[2].workload.parameters["sigma"] = 0.8144;
  fits.record.rounds[2].workload.digest = "another routing";
  NamedRecord other = fits;
  other.record.rounds[2].workload.parameters["sigma"] = 0.2;

  const auto rows = load_section(std::vector{fits}).figures.at(0).table.rows;
  const auto other_rows = load_section(std::vector{other}).figures.at(0).table.rows;

  ASSERT_EQ(rows.size(), 4u);       // two routings of two ranks: the first two rounds share a digest
  EXPECT_EQ(rows[2][2].text, "1");  // the larger load is rank 1's
  EXPECT_NEAR(rows[2][4].exact.value(), 48, 0.05);
  EXPECT_NEAR(rows[3][4].exact.value(), 16, 0.05);
  EXPECT_TRUE(other_rows[2][4].missing);
}

// Regression: the program was aborted. The file may have been changed by hand.
TEST(LoadSection, DrawsNoLawOfAShapeThatNoneHas) {
  for (const char* family : {"lognormal", "gamma", "weibull", "powerlaw", "exprank"}) {
    for (const double shape : {-1.0, 0.0, 1e-300, 1e-6, 1e6, 1e300}) {
      SCOPED_TRACE(std::string(family) + " " + std::to_string(shape));
      NamedRecord result{"a", test::sample_record()};
      WorkloadRecord& workload = result.record.rounds[2].workload;
      workload.distribution = family;
      workload.parameters = {{std::string(shape_name(*find_family(family))), shape}};
      workload.digest = "another routing";

      const auto rows = load_section(std::vector{result}).figures.at(0).table.rows;

      EXPECT_TRUE(rows.at(2)[4].missing);
    }
  }
}

TEST(BandwidthSection, SmallRatesKeepThreeDigits) {
  EXPECT_EQ(amount(0.00123456).text, "0.00123");
  EXPECT_EQ(amount(0.0999).text, "0.0999");
  EXPECT_EQ(amount(0.0).text, "0.00");
  EXPECT_EQ(amount(3.14159).text, "3.14");
}

TEST(TrafficSection, SumsBlocksOfRanksBeyondSixtyFour) {
  NamedRecord result{"a", test::sample_record()};
  result.record.config.num_ranks = 128;
  result.record.rounds.resize(1);
  RoutingLoad& load = result.record.rounds[0].load;
  load.rank.loads.assign(128, 128);
  load.selections.assign(128 * 128, 1);
  load.selections[1] = 10;  // from rank 0 to rank 1: both in the first block

  const Table table = traffic_section(std::vector{result}).figures.at(0).table;

  ASSERT_EQ(table.rows.size(), 64u);
  ASSERT_EQ(table.columns.size(), 66u);
  EXPECT_EQ(table.columns[2], "0–1");
  EXPECT_EQ(table.rows[0][2].exact, 13.0);
  EXPECT_EQ(table.rows[0][3].exact, 4.0);
  EXPECT_EQ(table.rows[63][65].exact, 4.0);
}

TEST(TableRows, AreAsLongAsTheirHeadings) {
  const std::vector<NamedRecord> one = {{"a", test::sample_record()}};
  const std::vector<NamedRecord> two = {{"a", test::sample_record()}, {"b", test::sample_record()}};

  for (const auto& results : {one, two}) {
    for (const auto section : {latency_section, cost_section, load_section, traffic_section, rank_section,
                               bandwidth_section, table_section}) {
      const Section made = section(results);
      std::vector<Table> tables = made.tables;
      for (const Figure& figure : made.figures) tables.push_back(figure.table);
      for (const Table& table : tables) {
        EXPECT_FALSE(table.rows.empty()) << table.caption;
        for (const auto& row : table.rows) ASSERT_EQ(row.size(), table.columns.size()) << table.caption;
      }
    }
  }
}

TEST(ProvenanceSection, QuotesTheCommandForAShell) {
  NamedRecord result{"a", test::sample_record()};
  result.record.argv = {"epskew", "bench", "--json", "my file's.json", ""};

  EXPECT_EQ(provenance_section(std::vector{result}).facts.at(0).command,
            "epskew bench --json 'my file'\\''s.json' ''");
}

TEST(Amount, ShowsThreeFiguresOrSo) {
  EXPECT_EQ(amount(9.994).text, "9.99");
  EXPECT_EQ(amount(12.34).text, "12.3");
  EXPECT_EQ(amount(1234.5).text, "1234");
  EXPECT_TRUE(amount(std::nullopt).missing);
}

TEST(WritePage, EscapesWhatAFileSays) {
  EXPECT_EQ(escape_html("</script><b a=\"1\">&"), "&lt;/script&gt;&lt;b a=&quot;1&quot;&gt;&amp;");

  NamedRecord result{"<img src=x>", test::sample_record()};
  result.record.config.backend = "<script>alert(1)</script>";
  const std::string page = report_page(std::vector{result});

  EXPECT_EQ(page.find("<img"), std::string::npos);
  EXPECT_EQ(page.find("alert(1)</script>"), std::string::npos);
}

TEST(ReportPage, FetchesNothing) {
  const std::string page = report_page(std::vector{NamedRecord{"a", test::sample_record()}});

  EXPECT_NE(page.find("default-src 'none'"), std::string::npos);
  EXPECT_FALSE(std::regex_search(page.substr(0, page.find("<script>")), std::regex("(src|href)=\"[^#]")));
}

TEST(ReportPage, NamesTheShapeOfEachWhereTheyDiffer) {
  NamedRecord a{"a", test::sample_record()};
  NamedRecord b{"b", test::sample_record()};
  const std::string alike = report_page(std::vector{a, b});
  b.record.config.hidden = 7168;
  const std::string different = report_page(std::vector{a, b});

  EXPECT_NE(alike.find("2 results · 2 ranks, 16 tokens a rank at most, hidden 128,"), std::string::npos);
  EXPECT_NE(different.find("2 results · a: 2 ranks, 16 tokens a rank at most, hidden 128,"),
            std::string::npos);
  EXPECT_NE(different.find(" · b: 2 ranks, 16 tokens a rank at most, hidden 7168,"), std::string::npos);
}

TEST(ReportPage, NeedsAResult) {
  EXPECT_THROW(report_page({}), UsageError);
}

// A file whose arrays are shorter than its own shape would be read beyond their ends.
TEST(Consistency, ArraysOfTheWrongLengthAreRefused) {
  Record short_loads = test::sample_record();
  short_loads.rounds[1].load.rank.loads.pop_back();
  Record short_counts = test::sample_record();
  short_counts.rounds[2].timing[static_cast<std::size_t>(Phase::combine)]->times_slowest.pop_back();
  Record hot_outside = test::sample_record();
  hot_outside.rounds[0].load.rank.hot = 2;
  Record no_ranks = test::sample_record();
  no_ranks.config.num_ranks = 0;
  const auto problem = [](const Record& record) -> std::string {
    return test::usage_error_of([&] { from_json(to_json(record), "r.json"); });
  };

  EXPECT_NE(problem(short_loads).find("round 1.0 (load.rank.loads has 1 entries where 2 belong)"),
            std::string::npos);
  EXPECT_NE(problem(short_counts).find("round 1.5 (times_slowest has 1 entries"), std::string::npos);
  EXPECT_NE(problem(hot_outside).find("load.rank.hot is 2, outside 0 to 1"), std::string::npos);
  EXPECT_NE(problem(no_ranks).find("0 ranks"), std::string::npos);
}

}  // namespace
}  // namespace epskew
