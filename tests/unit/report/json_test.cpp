#include "epskew/report/json.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "epskew/support/error.hpp"
#include "unit/report/sample_record.hpp"

namespace epskew {
namespace {

using nlohmann::json;

std::string problem_of(const std::string& text) {
  try {
    from_json(text, "r.json");
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
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

TEST(Json, AMissingFileIsTheUsersMistake) {
  EXPECT_THROW(read_record("/nonexistent/r.json"), UsageError);
  EXPECT_THROW(read_record("/"), UsageError);
}

}  // namespace
}  // namespace epskew
