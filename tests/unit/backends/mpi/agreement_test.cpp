#include "backends/mpi/agreement.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace epskew::mpi {
namespace {

std::vector<Identity> three_alike() {
  return std::vector<Identity>(3, identify(ExchangeShape{}, ExchangeOptions{}));
}

TEST(Agreement, ProcessesThatAreAlikeAgree) {
  EXPECT_FALSE(find_disagreement(three_alike()));
}

TEST(Agreement, AnotherByteOrderIsNamed) {
  auto all = three_alike();
  std::reverse(all[2].byte_order.begin(), all[2].byte_order.end());

  const auto different = find_disagreement(all);

  ASSERT_TRUE(different);
  EXPECT_EQ(different->rank, 2);
  EXPECT_EQ(different->what, "stores numbers in another byte order");
}

TEST(Agreement, AnotherExchangeIsNamed) {
  auto all = three_alike();
  ExchangeOptions other;
  other.variants["exchange"] = "rma";
  all[1] = identify(ExchangeShape{}, other);

  const auto different = find_disagreement(all);

  ASSERT_TRUE(different);
  EXPECT_EQ(different->rank, 1);
  EXPECT_EQ(different->what, "is set to another exchange shape or options");
}

TEST(Agreement, TheFirstThatDiffersIsNamed) {
  auto all = three_alike();
  all[1].program[0] ^= 1u;
  all[2].arguments[0] ^= 1u;

  const auto different = find_disagreement(all);

  ASSERT_TRUE(different);
  EXPECT_EQ(different->rank, 1);
  EXPECT_EQ(different->what, "runs another build of the program");
}

}  // namespace
}  // namespace epskew::mpi
