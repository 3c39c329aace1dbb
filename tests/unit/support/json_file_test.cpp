#include "epskew/support/json_file.hpp"

#include <gtest/gtest.h>

#include <string>

#include "helpers/usage_error.hpp"

namespace epskew {
namespace {

std::string problem_with(const std::string& text) {
  return test::usage_error_of([&] { parse_json(text, "the file"); });
}

TEST(ParseJson, NamesTheLineOfAnError) {
  EXPECT_EQ(problem_with("{\n\"a\": }").find("the file is no valid JSON (error at line 2, byte 8)"), 0u);
}

TEST(ParseJson, RefusesNumbersThatNoDoubleHolds) {
  EXPECT_EQ(problem_with("[1, 1e999]").find("the file holds a number that is out of range"), 0u);
}

TEST(ParseJson, TakesWhatIsValid) {
  EXPECT_EQ(parse_json("[1e308, -1]", "the file"), (nlohmann::json{1e308, -1}));
}

}  // namespace
}  // namespace epskew
