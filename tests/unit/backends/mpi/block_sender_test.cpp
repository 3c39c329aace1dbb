#include "backends/mpi/block_sender.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace epskew::mpi {
namespace {

/// Two ranks of two experts each, top-2 of four: of three tokens the second selects nothing on rank 1.
struct TwoRanks {
  TwoRanks() {
    shape.num_ranks = 2;
    shape.num_experts = 4;
    shape.topk = 2;
    shape.hidden = 256;
    shape.max_tokens = 3;
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = to_bfloat16(static_cast<float>(i % 97));
  }
  RankInput input() const { return {x, topk_idx, weights}; }

  ExchangeShape shape;
  std::vector<BFloat16> x = std::vector<BFloat16>(3 * 256);
  std::vector<std::int32_t> topk_idx = {0, 2, 1, -1, 3, 2};
  std::vector<float> weights = std::vector<float>(6, 0.5f);
};

TEST(BlockSender, ReportsTheIndexThenEveryPayload) {
  const TwoRanks job;
  WireRow wire(job.shape, DispatchFormat::bf16);
  BlockSender sender(job.shape, wire, {0, 1});
  std::vector<std::size_t> reported;
  sender.begin(job.input());

  sender.pack(1, [&](std::span<const std::byte> packed) { reported.push_back(packed.size()); });

  // A header of 16 bytes and two entries of 24, then two rows of 512 bytes.
  EXPECT_EQ(reported, (std::vector<std::size_t>{64, 64 + 512, 64 + 2 * 512}));
  EXPECT_EQ(reported.back(), sender.block_bytes(1));
}

TEST(BlockSender, WhatIsReportedDoesNotChangeAnyMore) {
  const TwoRanks job;
  WireRow wire(job.shape, DispatchFormat::fp8);
  BlockSender sender(job.shape, wire, {0, 1});
  std::vector<std::vector<std::byte>> reported;
  sender.begin(job.input());

  const auto block = sender.pack(
      1, [&](std::span<const std::byte> packed) { reported.emplace_back(packed.begin(), packed.end()); });

  ASSERT_EQ(reported.size(), 3u);
  for (const auto& packed : reported) {
    EXPECT_TRUE(std::equal(packed.begin(), packed.end(), block.begin())) << packed.size();
  }
}

TEST(BlockSender, ABlockWithoutTokensIsItsHeader) {
  TwoRanks job;
  job.topk_idx = {0, 1, 1, -1, -1, 0};
  WireRow wire(job.shape, DispatchFormat::bf16);
  BlockSender sender(job.shape, wire, {0, 1});
  std::vector<std::size_t> reported;
  sender.begin(job.input());

  sender.pack(1, [&](std::span<const std::byte> packed) { reported.push_back(packed.size()); });

  EXPECT_EQ(reported, std::vector<std::size_t>{64});
}

}  // namespace
}  // namespace epskew::mpi
