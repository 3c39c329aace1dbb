#include "backends/cuda/layout.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "backends/cuda/launch.hpp"
#include "epskew/exchange/exchange.hpp"

namespace epskew::cuda {
namespace {

const ExchangeShape shape{8, 256, 8, 7168, 128};

/// Every region as [begin, end) of one buffer set or micro-batch, from the documented element counts.
std::vector<std::pair<std::uint64_t, std::uint64_t>> regions(const ArenaOffsets& at,
                                                             const ExchangeOptions& options) {
  const std::uint64_t rows = 8 * 128 * 8;
  const std::uint64_t selections = 128 * 8;
  return {{at.count_cells, 8 * 8 * 256},
          {at.dispatch_flags, 8 * 8},
          {at.combine_flags, 8 * 8},
          {at.source_tokens, 4 * rows},
          {at.scales, rows * scale_row_bytes(options.dispatch, 7168)},
          {at.rows, rows * row_bytes(options.dispatch, 7168)},
          {at.sent_rows, 4 * selections},
          {at.numbers, 4 * selections},
          {at.source_ranges, 32 * 8 * sizeof(RowRange)},
          {at.expert_begin, 4 * 33},
          {at.expert_out, rows * 2 * 7168},
          {at.x, 128 * 2 * 7168},
          {at.topk, 4 * selections},
          {at.weights, 4 * selections},
          {at.combined, 128 * 2 * 7168}};
}

TEST(CudaLayout, RegionsOfOneOperationDoNotOverlapAndFitTheArena) {
  for (const DispatchFormat format : {DispatchFormat::bf16, DispatchFormat::fp8, DispatchFormat::fp8_ue8m0}) {
    ExchangeOptions options;
    options.dispatch = format;
    const ArenaLayout layout(shape, options);

    auto all = regions(layout.at(1, 0), options);
    std::sort(all.begin(), all.end());

    for (std::size_t i = 0; i + 1 < all.size(); ++i)
      EXPECT_LE(all[i].first + all[i].second, all[i + 1].first);
    EXPECT_LE(all.back().first + all.back().second, layout.bytes());
  }
}

TEST(CudaLayout, BufferSetsAndMicroBatchesAreDisjoint) {
  ExchangeOptions options;
  options.micro_batches = 2;
  const ArenaLayout layout(shape, options);

  for (int set = 0; set + 1 < layout.num_sets(); ++set) {
    EXPECT_GE(layout.at(set + 1, 0).count_cells, layout.at(set, 0).expert_out + 8 * 128 * 8 * 2 * 7168u);
  }
  EXPECT_EQ(layout.num_sets(), 4);
  EXPECT_GE(layout.at(0, 1).x, layout.at(0, 0).combined + 128 * 2 * 7168u);
  EXPECT_EQ(layout.at(3, 1).x, layout.at(0, 1).x);
  EXPECT_LE(layout.at(0, 1).combined + 128 * 2 * 7168u, layout.bytes());
}

// The figure that docs/cuda.md states; the bound is the one of the issue: half a gigabyte a rank.
TEST(CudaLayout, WorstCaseMemoryAtTheDeepSeekShape) {
  ExchangeOptions fp8;
  ExchangeOptions bf16;
  bf16.dispatch = DispatchFormat::bf16;

  EXPECT_EQ(ArenaLayout(shape, fp8).bytes(), 359'792'640u);
  EXPECT_LT(ArenaLayout(shape, bf16).bytes(), 500'000'000u);
}

TEST(CudaLayout, EveryRegionStartsOnALine) {
  ExchangeOptions options;
  const ExchangeShape odd{3, 9, 3, 384, 7};

  const ArenaOffsets at = ArenaLayout(odd, options).at(1, 0);

  for (const std::uint64_t offset : {at.count_cells, at.dispatch_flags, at.combine_flags, at.source_tokens,
                                     at.scales, at.rows, at.sent_rows, at.source_ranges, at.expert_begin,
                                     at.expert_out, at.x, at.topk, at.weights, at.combined}) {
    EXPECT_EQ(offset % line_bytes, 0u);
  }
}

// The bound of docs/memory.md: 64 MB a rank for what is exchanged, whatever the formats.
TEST(CudaLayout, DeduplicatedExchangesStayBelow64MegabytesInTheWorstCase) {
  for (const int experts : {256, 288}) {
    for (const DispatchFormat format :
         {DispatchFormat::bf16, DispatchFormat::fp8, DispatchFormat::fp8_ue8m0}) {
      for (const CombineAlgorithm combine : {CombineAlgorithm::push, CombineAlgorithm::prereduce}) {
        ExchangeOptions options;
        options.dispatch = format;
        const ExchangeShape worst{8, experts, 8, 7168, 128};

        const ArenaLayout layout(worst, options, {DispatchAlgorithm::dedup, combine});

        EXPECT_LE(layout.exchange_bytes(), 64'000'000u) << name_of(format);
        EXPECT_GE(layout.bytes() - layout.exchange_bytes(),
                  8192u * (2 * 7168 + row_bytes(format, 7168)));  // rows and outputs
      }
    }
  }
}

// The formula of docs/memory.md, every region rounded up to a line.
TEST(CudaLayout, DeduplicatedMemoryIsTheDocumentedSum) {
  const ExchangeOptions options;
  const ArenaLayout layout(shape, options, {DispatchAlgorithm::dedup, CombineAlgorithm::prereduce});

  const std::uint64_t control = 8 * 8 * 256 + 128 + 2 * 128;  // cells of counts and messages, flags
  const std::uint64_t indices = 2 * 4 * 1024 + 8 * 32 * 8 + 256;
  const std::uint64_t messages = 1024 * (4 * 20 + 7168 + 4 * 56) + 4 * 1024 + 4 * 128;
  const std::uint64_t returned = 128 * 8 * 2 * 7168;
  const std::uint64_t batch = 2 * 128 * 2 * 7168 + 2 * 4 * 1024;
  const std::uint64_t sum = 2 * (control + indices + messages + returned) + batch;
  EXPECT_EQ(layout.exchange_bytes(), (sum + 4095) / 4096 * 4096);
}

using Spans = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

/// What the variant adds to a buffer set, from the documented element counts.
Spans variant_regions(const ArenaOffsets& at, Algorithms algorithms) {
  const bool dedup = algorithms.dispatch == DispatchAlgorithm::dedup;
  Spans spans = {{at.sent_rows, 4 * 1024}, {at.returned, 1024 * 2 * 7168}};
  if (algorithms.headers()) spans.insert(spans.end(), {{at.message_cells, 64}, {at.headers, 1024 * 80}});
  if (dedup) {
    spans.push_back({at.message_rows, 1024 * 7168});
  } else {
    spans.push_back({at.rows, 8192 * 7168});
  }
  return spans;
}

TEST(CudaLayout, RegionsOfEveryVariantAreDisjoint) {
  ExchangeOptions options;
  options.micro_batches = 2;
  for (const Algorithms algorithms : {Algorithms{DispatchAlgorithm::direct, CombineAlgorithm::push},
                                      Algorithms{DispatchAlgorithm::direct, CombineAlgorithm::prereduce},
                                      Algorithms{DispatchAlgorithm::dedup, CombineAlgorithm::push},
                                      Algorithms{DispatchAlgorithm::dedup, CombineAlgorithm::prereduce}}) {
    const ArenaLayout layout(shape, options, algorithms);
    Spans all;
    for (int set = 0; set < layout.num_sets(); ++set) {
      const Spans mine = variant_regions(layout.at(set, set % 2), algorithms);
      all.insert(all.end(), mine.begin(), mine.end());
    }
    for (const int batch : {0, 1}) {
      const ArenaOffsets at = layout.at(0, batch);
      all.push_back({at.expert_out, 8192 * 2 * 7168});
      if (algorithms.dispatch == DispatchAlgorithm::dedup) all.push_back({at.rows, 8192 * 7168});
    }

    std::sort(all.begin(), all.end());

    for (std::size_t i = 0; i + 1 < all.size(); ++i)
      EXPECT_LE(all[i].first + all[i].second, all[i + 1].first);
    EXPECT_LE(all.back().first + all.back().second, layout.bytes());
  }
}

}  // namespace
}  // namespace epskew::cuda
