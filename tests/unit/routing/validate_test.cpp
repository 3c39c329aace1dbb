#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "helpers/usage_error.hpp"
#include "unit/routing/small_table.hpp"

namespace epskew {
namespace {

std::string refusal(const RoutingTable& table) {
  return test::usage_error_of([&] { validate(table, "file.safetensors"); });
}

TEST(Validate, AcceptsARoutingAndOneWithoutTokens) {
  RoutingTable empty;
  empty.num_experts = 2;
  empty.topk = 1;
  empty.tokens_per_rank = {0, 0};

  EXPECT_EQ(refusal(small_table()), "");
  EXPECT_EQ(refusal(empty), "");
}

TEST(Validate, NamesTheFirstOffendingEntry) {
  RoutingTable table = small_table();
  table.topk_idx[5] = 4;

  const std::string message = refusal(table);

  EXPECT_NE(message.find("file.safetensors: rank 1 token 0 entry 1 selects expert 4"), std::string::npos)
      << message;
}

TEST(Validate, RefusesADuplicateExpert) {
  RoutingTable table = small_table();
  table.topk_idx[3] = 1;

  const std::string message = refusal(table);

  EXPECT_NE(message.find("rank 0 token 1 entry 1 selects expert 1 a second time"), std::string::npos)
      << message;
}

TEST(Validate, RefusesAWeightThatIsNotFinite) {
  RoutingTable table = small_table();
  table.topk_weights[2] = std::numeric_limits<float>::infinity();

  EXPECT_NE(refusal(table).find("rank 0 token 1 entry 0 has the weight"), std::string::npos);
}

TEST(Validate, RefusesIdsBelowMinusOne) {
  RoutingTable table = small_table();
  table.topk_idx[0] = -2;

  EXPECT_NE(refusal(table).find("selects expert -2"), std::string::npos);
}

TEST(Validate, RefusesAnInconsistentShape) {
  RoutingTable table = small_table();
  table.topk_idx.pop_back();
  EXPECT_NE(refusal(table).find("5 ids"), std::string::npos);

  table = small_table();
  table.num_experts = 3;
  EXPECT_NE(refusal(table).find("do not divide"), std::string::npos);

  table = small_table();
  table.topk = 5;
  EXPECT_NE(refusal(table).find("top-5 of 4"), std::string::npos);

  table = small_table();
  table.tokens_per_rank = {4, -1};
  EXPECT_NE(refusal(table).find("-1 tokens"), std::string::npos);

  EXPECT_NE(refusal(RoutingTable{}).find("no ranks"), std::string::npos);
}

}  // namespace
}  // namespace epskew
