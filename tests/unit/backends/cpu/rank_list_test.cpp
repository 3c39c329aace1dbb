#include "backends/cpu/rank_list.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace epskew::cpu {
namespace {

TEST(RankList, DrawsRunsTogether) {
  EXPECT_EQ(rank_list(std::vector{3}), "3");
  EXPECT_EQ(rank_list(std::vector{0, 1}), "0, 1");
  EXPECT_EQ(rank_list(std::vector{0, 1, 2, 4, 5, 6, 7, 9}), "0-2, 4-7, 9");
  EXPECT_EQ(rank_list(std::vector{1, 3, 5}), "1, 3, 5");
}

TEST(RankList, HasAName) {
  EXPECT_EQ(name_ranks(std::vector{3}), "rank 3");
  EXPECT_EQ(name_ranks(std::vector{0, 2}), "ranks 0, 2");
}

}  // namespace
}  // namespace epskew::cpu
