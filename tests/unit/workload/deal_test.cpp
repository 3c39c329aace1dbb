#include "workload/deal.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <vector>

#include "epskew/support/random.hpp"

namespace epskew {
namespace {

using Table = std::vector<std::int32_t>;
using Counts = std::vector<std::int64_t>;

Table deal_table(const std::vector<std::uint8_t>& degrees, int topk, const Counts& counts,
                 std::uint64_t seed) {
  Table table(degrees.size() * static_cast<std::size_t>(topk), -1);
  deal({table, degrees, topk}, counts, seed);
  return table;
}

/// The set of experts of every token as one number: which routing it is, whatever the order in the rows.
std::uint64_t identity_of(const Table& table, const std::vector<std::uint8_t>& degrees, std::size_t topk) {
  std::uint64_t identity = 0;
  for (std::size_t token = 0; token < degrees.size(); ++token) {
    for (std::size_t k = 0; k < degrees[token]; ++k)
      identity |= 1ull << (token * 8 + table[token * topk + k]);
  }
  return identity;
}

/// All routings of the margins must come up equally often.
void expect_uniform(const std::vector<std::uint8_t>& degrees, int topk, const Counts& counts,
                    std::size_t routings) {
  const int draws = 200 * static_cast<int>(routings);
  std::map<std::uint64_t, int> seen;

  for (int seed = 0; seed < draws; ++seed) {
    ++seen[identity_of(deal_table(degrees, topk, counts, static_cast<std::uint64_t>(seed)), degrees,
                       static_cast<std::size_t>(topk))];
  }

  ASSERT_EQ(seen.size(), routings);
  double chi_square = 0.0;
  for (const auto& [identity, count] : seen) chi_square += (count - 200.0) * (count - 200.0) / 200.0;
  const auto freedom = static_cast<double>(routings - 1);
  EXPECT_LT(chi_square, freedom + 5.0 * std::sqrt(2.0 * freedom));
}

TEST(Deal, DrawsEveryRoutingOfRegularMarginsEquallyOften) {
  // 4 x 4 binary matrices with all row and column sums 2: there are 90 (OEIS A001499).
  expect_uniform({2, 2, 2, 2}, 2, {2, 2, 2, 2}, 90);
}

TEST(Deal, DrawsEveryRoutingOfSkewedMarginsEquallyOften) {
  // Expert 0 goes to all; what is left is every token once among counts 2, 1, 1: 4! / 2! = 12.
  expect_uniform({2, 2, 2, 2}, 2, {4, 2, 1, 1}, 12);
}

TEST(Deal, DrawsEveryRoutingOfUnequalTokensEquallyOften) {
  // Token 2 takes expert a alone; tokens 0 and 1 of degree 2 take the rest of (2, 2, 1): counted by hand, a =
  // 0 or 1 leaves (1, 2, 1) and its mirror, 2 ways each; a = 2 leaves (2, 2, 0), 1 way.
  expect_uniform({2, 2, 1}, 2, {2, 2, 1}, 5);
}

TEST(Deal, KeepsDegreesAndCountsExactly) {
  const std::vector<std::uint8_t> degrees = {3, 0, 2, 3, 1, 3};
  const Counts counts = {5, 4, 2, 1};

  const Table table = deal_table(degrees, 3, counts, 7);

  Counts dealt(4, 0);
  for (std::size_t token = 0; token < degrees.size(); ++token) {
    std::vector<std::int32_t> row(table.begin() + static_cast<std::ptrdiff_t>(token * 3),
                                  table.begin() + static_cast<std::ptrdiff_t>(token * 3 + degrees[token]));
    std::sort(row.begin(), row.end());
    EXPECT_EQ(std::adjacent_find(row.begin(), row.end()), row.end());
    for (const std::int32_t expert : row) ++dealt.at(static_cast<std::size_t>(expert));
  }
  EXPECT_EQ(dealt, counts);
}

/// Random curveball trades until nothing of the start is left: the reference for mixing.
void mix_long(Table& table, std::size_t topk, std::uint64_t seed) {
  RandomStream random(seed, 99);
  const auto tokens = static_cast<std::uint32_t>(table.size() / topk);
  for (std::uint32_t trade = 0; trade < 40 * tokens; ++trade) {
    const auto a = table.begin() + random.below(tokens) * static_cast<std::ptrdiff_t>(topk);
    const auto b = table.begin() + random.below(tokens) * static_cast<std::ptrdiff_t>(topk);
    if (a == b) continue;
    const auto end_a = a + static_cast<std::ptrdiff_t>(topk);
    const auto end_b = b + static_cast<std::ptrdiff_t>(topk);
    const auto own_a =
        std::partition(a, end_a, [&](std::int32_t e) { return std::find(b, end_b, e) != end_b; });
    const auto own_b =
        std::partition(b, end_b, [&](std::int32_t e) { return std::find(a, own_a, e) != own_a; });
    std::vector<std::int32_t> pool(own_a, end_a);
    pool.insert(pool.end(), own_b, end_b);
    shuffle(pool, random);
    std::copy_n(pool.begin(), end_a - own_a, own_a);
    std::copy(pool.begin() + (end_a - own_a), pool.end(), own_b);
  }
}

struct Structure {
  double pairs = 0.0;    ///< sum over pairs of experts of (tokens that have both)^2
  double sources = 0.0;  ///< sum over (block of 64 tokens, expert) of count^2
};

Structure structure_of(const Table& table, std::size_t topk, std::size_t experts) {
  std::vector<double> together(experts * experts, 0.0);
  std::vector<double> in_block(table.size() / topk / 64 * experts, 0.0);
  for (std::size_t first = 0; first < table.size(); first += topk) {
    for (std::size_t i = 0; i < topk; ++i) {
      in_block[first / topk / 64 * experts + static_cast<std::size_t>(table[first + i])] += 1.0;
      for (std::size_t j = 0; j < i; ++j) {
        const auto [low, high] = std::minmax(table[first + i], table[first + j]);
        together[static_cast<std::size_t>(low) * experts + static_cast<std::size_t>(high)] += 1.0;
      }
    }
  }
  const auto squares = [](const std::vector<double>& v) {
    return std::inner_product(v.begin(), v.end(), v.begin(), 0.0);
  };
  return {squares(together), squares(in_block)};
}

struct Sample {
  std::vector<double> values;
  double mean() const {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  }
  double variance() const {
    double sum = 0.0;
    for (const double v : values) sum += (v - mean()) * (v - mean());
    return sum / static_cast<double>(values.size() - 1);
  }
};

void expect_same_mean(const Sample& a, const Sample& b, const char* what) {
  const double error = std::sqrt((a.variance() + b.variance()) / static_cast<double>(a.values.size()));
  EXPECT_NEAR(a.mean(), b.mean(), 4.0 * error) << what;
}

TEST(Deal, LooksLikeAMixedRoutingInPairsAndSources) {
  for (const bool skewed : {false, true}) {
    // 1024 tokens, top-4 of 32; skewed: one expert goes to 900 tokens, two to 400.
    Counts counts(32, 128);
    if (skewed) {
      counts.assign(32, 82);
      counts[3] = 900;
      counts[7] = counts[20] = 400;
      counts[31] += 4096 - std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
    }
    const std::vector<std::uint8_t> degrees(1024, 4);
    Sample pairs;
    Sample mixed_pairs;
    Sample sources;
    Sample mixed_sources;
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
      Table table = deal_table(degrees, 4, counts, seed);
      const Structure dealt = structure_of(table, 4, 32);
      mix_long(table, 4, seed);
      const Structure mixed = structure_of(table, 4, 32);
      pairs.values.push_back(dealt.pairs);
      mixed_pairs.values.push_back(mixed.pairs);
      sources.values.push_back(dealt.sources);
      mixed_sources.values.push_back(mixed.sources);
    }

    expect_same_mean(pairs, mixed_pairs, "pairs of experts");
    expect_same_mean(sources, mixed_sources, "experts by source");
  }
}

}  // namespace
}  // namespace epskew
