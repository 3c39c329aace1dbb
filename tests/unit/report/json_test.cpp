#include "epskew/report/json.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "epskew/support/error.hpp"
#include "helpers/usage_error.hpp"
#include "unit/report/sample_record.hpp"

namespace epskew {
namespace {

using nlohmann::json;

std::string problem_of(const std::string& text) {
  return test::usage_error_of([&] { from_json(text, "r.json"); });
}

// The fields that other programs rely on, by the path that the documentation gives.
TEST(Json, HasTheFieldsOthersRelyOn) {
  const json file = json::parse(to_json(test::sample_record()));

  const json& round = file.at("rounds").at(2);
  EXPECT_EQ(file.at("schema_version"), record_schema_version);
  EXPECT_EQ(file.at("config").at("num_ranks"), 2);
  EXPECT_EQ(round.at("label"), "1.5");
  EXPECT_EQ(round.at("target_factor"), 1.5);
  EXPECT_EQ(round.at("workload").at("parameters").at("sigma"), 0.5);
  EXPECT_EQ(round.at("workload").at("digest").get<std::string>().size(), 32u);
  EXPECT_EQ(round.at("load").at("rank").at("loads"), json({16, 48}));
  EXPECT_EQ(round.at("load").at("rank").at("factor"), 1.5);
  EXPECT_EQ(round.at("load").at("selections"), json({{8, 24}, {8, 24}}));
  EXPECT_EQ(round.at("oracle").at("before"), "passed");
  EXPECT_EQ(round.at("timing").at("dispatch").at("samples_us").at(1), json({11.0, 49.0}));
  EXPECT_EQ(round.at("timing").at("dispatch").at("slowest_rank").at("p50"), 49.5);
  EXPECT_EQ(round.at("timing").at("dispatch").at("per_rank").at("max"), json({13.0, 51.0}));
  EXPECT_EQ(round.at("bandwidth").at("send_logical").at("dispatch").at("bytes"), 1000);
  EXPECT_EQ(round.at("cost_of_imbalance").at("low"), 1.25);
}

TEST(Json, WhatWasNotMeasuredIsNull) {
  const json round = json::parse(to_json(test::sample_record())).at("rounds").at(0);

  EXPECT_TRUE(round.at("target_factor").is_null());
  EXPECT_TRUE(round.at("timing").at("dispatch_send").is_null());
  EXPECT_TRUE(round.at("timing").at("dispatch").at("slowest_rank").at("p99").is_null());
  EXPECT_TRUE(round.at("bandwidth").at("hot_receive").at("dispatch").at("gb_per_s").is_null());
  EXPECT_TRUE(round.at("cost_of_imbalance").is_null());
}

TEST(Json, ReadingAndWritingGivesTheSameBytes) {
  const std::string text = to_json(test::sample_record());

  EXPECT_EQ(to_json(from_json(text, "r.json")), text);
}

TEST(Json, RefusesWhatItCannotRead) {
  const std::string text = to_json(test::sample_record());
  json other = json::parse(text);
  other["schema_version"] = "2.0.0";
  json newer = json::parse(text);
  newer["schema_version"] = "1.99.0";
  json lacking = json::parse(text);
  lacking["rounds"][1].erase("load");
  json ragged = json::parse(text);
  ragged["rounds"][0]["timing"]["dispatch"]["samples_us"][0].push_back(1.0);

  EXPECT_EQ(problem_of(other.dump()).find("r.json has schema version 2.0.0"), 0u) << problem_of(other.dump());
  EXPECT_NE(problem_of(newer.dump()).find("schema version 1.99.0"), std::string::npos);
  EXPECT_NE(problem_of(lacking.dump()).find("key 'load' not found"), std::string::npos);
  EXPECT_NE(problem_of(ragged.dump()).find("different lengths"), std::string::npos);
  EXPECT_NE(problem_of(text.substr(0, text.size() / 2)).find("not a whole JSON file"), std::string::npos);
  EXPECT_NE(problem_of("[1, 2]").find("not an epskew result file"), std::string::npos);
  EXPECT_NE(problem_of("").find("not a whole JSON file"), std::string::npos);
}

/// The sample with the value at `path` (a JSON pointer) replaced.
std::string problem_with(const char* path, const json& value) {
  json file = json::parse(to_json(test::sample_record()));
  file[json::json_pointer(path)] = value;
  return problem_of(file.dump());
}

// Regression: 4.9 ranks were 4, 4294967300 were 4 too, and a seed of -1 was 18446744073709551615.
TEST(Json, RefusesNumbersOfTheWrongKind) {
  const std::pair<const char*, json> wrong[] = {
      {"/config/num_ranks", 4.9},
      {"/config/num_ranks", 4294967298},
      {"/config/passes", 4.7},
      {"/config/seed", -1},
      {"/config/flush_cache", 1},
      {"/rounds/1/load/rank/loads/0", 1e300},
      {"/rounds/1/load/selections/0/1", 2.5},
      {"/rounds/1/load/rank/factor", "1"},
      {"/rounds/1/timing/dispatch/samples_us/0/0", true},
      {"/rounds/1/memory/reserved_bytes/0", 0.5},
  };

  for (const auto& [path, value] : wrong) {
    EXPECT_NE(problem_with(path, value).find("is not a complete epskew result file"), std::string::npos)
        << path << ' ' << value << ": " << problem_with(path, value);
  }
  EXPECT_NE(problem_with("/config/num_ranks", 4.9).find("num_ranks: 4.9 is no whole number from -2147483648"),
            std::string::npos)
      << problem_with("/config/num_ranks", 4.9);
}

TEST(Json, RefusesWhatCannotHaveBeenMeasured) {
  EXPECT_NE(problem_with("/rounds/1/timing/dispatch/samples_us/0/0", -1.0)
                .find("round 1.0 (samples_us holds -1, which is below 0)"),
            std::string::npos);
  EXPECT_NE(problem_with("/rounds/1/load/expert/loads/0", -3).find("load.expert.loads holds -3"),
            std::string::npos);
  EXPECT_NE(problem_with("/rounds/1/label", "uniform").find("two rounds are called uniform"),
            std::string::npos);
}

TEST(Json, ReadsVersionsOfThreeNumbersOnly) {
  for (const char* version :
       {"1.-5.0", "1.2", "1", "1.2.", "1.2.x", "1.2.0.0", "1.2.0 ", "-1.0.0", "", "1..0"}) {
    EXPECT_NE(problem_with("/schema_version", version).find("has schema version"), std::string::npos)
        << version;
  }
  EXPECT_EQ(problem_with("/schema_version", "1.3.7"), "");
}

TEST(Json, OnlyFilesOlderThanPassesMayLackThem) {
  json file = json::parse(to_json(test::sample_record()));
  file["config"].erase("passes");
  file["schema_version"] = "1.1.0";
  const std::string older = file.dump();
  file["schema_version"] = "1.2.0";
  const std::string younger = file.dump();

  EXPECT_EQ(from_json(older, "r.json").config.passes, 1);
  EXPECT_NE(problem_of(younger).find("key 'passes' not found"), std::string::npos);
}

// Regression: a result in which one rank has all the load could not be read again.
TEST(Json, AnInfiniteRatioComesBack) {
  Record record = test::sample_record();
  record.rounds[2].load.hot_over_others = std::numeric_limits<double>::infinity();

  const Record read = from_json(to_json(record), "r.json");

  EXPECT_EQ(read.rounds[2].load.hot_over_others, std::numeric_limits<double>::infinity());
}

// Regression: a run of an hour was lost over a file name.
TEST(Json, TextThatIsNoUtf8CostsItsOddBytesOnly) {
  Record record = test::sample_record();
  record.argv.push_back(
      "/tmp/b\xff"
      "ad.json");

  const Record read = from_json(to_json(record), "r.json");

  EXPECT_EQ(read.argv.back(),
            "/tmp/b\xEF\xBF\xBD"
            "ad.json");
}

TEST(Json, AMissingFileIsTheUsersMistake) {
  EXPECT_THROW(read_record("/nonexistent/r.json"), UsageError);
  EXPECT_THROW(read_record("/"), UsageError);
}

}  // namespace
}  // namespace epskew
