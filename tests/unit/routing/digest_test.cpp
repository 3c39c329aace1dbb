#include "epskew/routing/digest.hpp"

#include <gtest/gtest.h>
#include <xxhash.h>

#include "unit/routing/small_table.hpp"

namespace epskew {
namespace {

TEST(Digest, IsXxh3OfTheDocumentedBytes) {
  // num_experts 4, topk 2, ranks 2; tokens 2, 1; six ids; six binary32 weights: all little-endian 32-bit
  // words.
  const unsigned char bytes[] = {4, 0, 0,    0,    2, 0, 0,    0,    2,    0,    0,    0,
                                 2, 0, 0,    0,    1, 0, 0,    0,  //
                                 0, 0, 0,    0,    1, 0, 0,    0,    1,    0,    0,    0,
                                 2, 0, 0,    0,    0, 0, 0,    0,    0xff, 0xff, 0xff, 0xff,  //
                                 0, 0, 0,    0x3f, 0, 0, 0,    0x3f, 0,    0,    0x80, 0x3e,
                                 0, 0, 0x40, 0x3f, 0, 0, 0x80, 0x3f, 0,    0,    0,    0};
  const XXH128_hash_t hash = XXH3_128bits(bytes, sizeof bytes);
  char expected[33];
  std::snprintf(expected, sizeof expected, "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));

  EXPECT_EQ(digest(small_table()), expected);
}

TEST(Digest, SeesEveryPart) {
  const RoutingTable table = small_table();
  RoutingTable other = table;
  other.topk_idx[0] = 3;
  EXPECT_NE(digest(other), digest(table));

  other = table;
  other.topk_weights[0] = 0.25f;
  EXPECT_NE(digest(other), digest(table));

  other = table;
  other.tokens_per_rank = {1, 2};
  EXPECT_NE(digest(other), digest(table));

  other = table;
  other.num_experts = 8;
  EXPECT_NE(digest(other), digest(table));
}

TEST(Digest, OfAnEmptyTableExists) {
  RoutingTable table;
  table.num_experts = 2;
  table.topk = 1;
  table.tokens_per_rank = {0, 0};

  EXPECT_EQ(digest(table).size(), 32u);
}

}  // namespace
}  // namespace epskew
