#include "backends/cuda/launch.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "epskew/support/random.hpp"

namespace epskew::cuda {
namespace {

constexpr int largest = std::numeric_limits<int>::max();

/// Where a reciprocal that is a little too small or too large shows: just below and at multiples, at the end.
std::vector<int> dividends_near_the_multiples_of(int divisor) {
  const int last = largest / divisor * divisor;
  std::vector<int> dividends = {0, 1, divisor - 1, divisor, last - 1, last, largest};
  for (int i = 1; i <= 20; ++i) dividends.push_back(largest / 21 * i / divisor * divisor - 1);
  return dividends;
}

void expect_integer_division(int divisor) {
  const Divisor fast(divisor);
  for (const int n : dividends_near_the_multiples_of(divisor)) {
    if (n < 0) continue;
    EXPECT_EQ(n / fast, n / divisor) << n << " / " << divisor;
    EXPECT_EQ(n % fast, n % divisor) << n << " % " << divisor;
  }
}

TEST(CudaDivisor, DividesAsIntegersDo) {
  for (int divisor = 1; divisor <= 3000; ++divisor) expect_integer_division(divisor);
  for (const int divisor : {1 << 20, (1 << 20) + 1, 1 << 30, largest - 1, largest})
    expect_integer_division(divisor);
}

TEST(CudaDivisor, DividesAsIntegersDoAtRandom) {
  RandomStream random(3, 0);
  for (int i = 0; i < 2000; ++i) expect_integer_division(1 + static_cast<int>(random.below(largest - 1u)));
}

}  // namespace
}  // namespace epskew::cuda
