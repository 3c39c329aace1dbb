#include "backends/mpi/node_rows.hpp"

#include <gtest/gtest.h>

namespace epskew::mpi {
namespace {

using Ids = std::vector<std::int32_t>;

ExchangeShape small_shape() {
  ExchangeShape shape;
  shape.num_ranks = 3;
  shape.num_experts = 6;
  return shape;
}

TEST(NodeRows, RowsFollowExpertThenSource) {
  const Topology topology = make_topology({0, 1, 0});  // ranks 0 and 2 share a node: experts 0, 1, 4, 5
  NodeRows rows(small_shape(), topology, 2);

  rows.begin();
  rows.add_source(0, Ids{2, 0, 1, 0});
  rows.add_source(1, Ids{0, 1, 1, 3});
  rows.add_source(2, Ids{1, 0, 0, 1});
  rows.finish();

  EXPECT_EQ(rows.node_expert(2), -1);
  EXPECT_EQ(rows.node_expert(5), 3);
  EXPECT_EQ(rows.member_of(3), 1);
  EXPECT_EQ(rows.most_rows(), 6);
  EXPECT_EQ(Ids(rows.expert_begin().begin(), rows.expert_begin().end()), (Ids{0, 2, 6}));
  EXPECT_EQ(rows.source_range()[4], (RowRange{2, 3}));  // expert 5 from rank 1
  EXPECT_EQ(rows.next_row(3, 1), 2);
  EXPECT_EQ(rows.next_row(3, 1), 3);
  EXPECT_EQ(rows.next_row(0, 2), 2);  // expert 0 at rank 0: behind the two of rank 0
}

}  // namespace
}  // namespace epskew::mpi
