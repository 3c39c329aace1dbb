#include "backends/mpi/topology.hpp"

#include <gtest/gtest.h>

namespace epskew::mpi {
namespace {

using Ints = std::vector<int>;

TEST(Topology, NodesAreNumberedByTheirLowestRank) {
  const Topology topology = make_topology({0, 1, 0, 1, 4});

  EXPECT_EQ(topology.num_nodes(), 3);
  EXPECT_EQ(topology.node_of_rank, (Ints{0, 1, 0, 1, 2}));
  EXPECT_EQ(topology.member_of_rank, (Ints{0, 0, 1, 1, 0}));
  EXPECT_EQ(topology.ranks_of_node, (std::vector<Ints>{{0, 2}, {1, 3}, {4}}));
}

TEST(Topology, ProxiesAreSpreadOverANode) {
  const Topology topology = make_topology({0, 0, 0, 3, 3});

  EXPECT_EQ(topology.proxy(0, 1), 3);
  EXPECT_EQ(topology.proxy(1, 1), 4);
  EXPECT_EQ(topology.proxy(2, 1), 3);
  EXPECT_EQ(topology.proxy(4, 0), 1);
}

}  // namespace
}  // namespace epskew::mpi
