#include "backends/mpi/selection_order.hpp"

#include <gtest/gtest.h>

namespace epskew::mpi {
namespace {

using Ids = std::vector<std::int32_t>;

TEST(SelectionOrder, GroupsByRankAndKeepsTheOrderOfSelections) {
  const Ids topk_idx = {5, 0, 1, -1, 4, 1};  // six experts on three ranks
  const Ids ranks = {0, 1, 2};

  const SelectionOrder order = order_selections(topk_idx, group_experts(6, ranks));

  EXPECT_EQ(order.begin, (Ids{0, 3, 3, 5}));
  EXPECT_EQ(order.position, (Ids{3, 0, 1, -1, 4, 2}));
  EXPECT_EQ(order.size(), 5);
  EXPECT_EQ(order.count(1), 0);
}

TEST(SelectionOrder, RanksOfOneNodeShareAGroup) {
  const Ids topk_idx = {5, 0, 3, 1};
  const Ids nodes = {0, 1, 0};

  const SelectionOrder order = order_selections(topk_idx, group_experts(6, nodes));

  EXPECT_EQ(order.begin, (Ids{0, 3, 4}));
  EXPECT_EQ(order.position, (Ids{0, 1, 3, 2}));
}

TEST(SelectionOrder, NoSelectionAtAll) {
  const SelectionOrder order = order_selections(Ids{-1, -1}, every_expert_alone(2));

  EXPECT_EQ(order.begin, (Ids{0, 0, 0}));
  EXPECT_EQ(order.position, (Ids{-1, -1}));
}

}  // namespace
}  // namespace epskew::mpi
