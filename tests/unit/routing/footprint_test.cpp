#include "epskew/routing/footprint.hpp"

#include <gtest/gtest.h>

#include "epskew/routing/load.hpp"
#include "unit/routing/small_table.hpp"

namespace epskew {
namespace {

template <class T>
double bytes_of(const std::vector<T>& values) {
  return static_cast<double>(values.size() * sizeof(T));
}

TEST(Footprint, IsWhatATableAndItsCountsHold) {
  const RoutingTable table = small_table();

  const RoutingLoad load = count_load(table);

  EXPECT_EQ(table_bytes(static_cast<double>(table.num_tokens()), table.topk),
            bytes_of(table.topk_idx) + bytes_of(table.topk_weights));
  EXPECT_EQ(pair_counts_bytes(table.num_ranks()), bytes_of(load.selections) + bytes_of(load.messages));
}

// In int, 100,000 ranks would have 1,410,065,408 pairs.
TEST(Footprint, OfManyRanksDoesNotOverflow) {
  EXPECT_EQ(pair_counts_bytes(100'000), 1.6e11);
}

}  // namespace
}  // namespace epskew
