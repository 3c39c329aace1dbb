#include "epskew/support/parallel.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

namespace epskew {
namespace {

TEST(Parallel, DoesEveryPieceOnce) {
  for (const int count : {0, 1, 2, 7, 100}) {
    std::vector<std::atomic<int>> done(static_cast<std::size_t>(count));

    for_each_in_parallel(count, [&](int piece) { ++done[static_cast<std::size_t>(piece)]; });

    for (const auto& times : done) EXPECT_EQ(times, 1) << count;
  }
}

TEST(Parallel, ThrowsWhatTheFirstPieceThrewWhenAllAreDone) {
  std::atomic<int> done{0};
  std::string caught;

  try {
    for_each_in_parallel(20, [&](int piece) {
      ++done;
      if (piece >= 3) throw std::runtime_error(std::to_string(piece));
    });
  } catch (const std::runtime_error& error) {
    caught = error.what();
  }

  EXPECT_EQ(caught, "3");
  EXPECT_EQ(done, 20);
}

}  // namespace
}  // namespace epskew
