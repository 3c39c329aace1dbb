#include "backends/mpi/result_row.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "epskew/exchange/logfmt.hpp"

namespace epskew::mpi {
namespace {

constexpr int hidden = 384;

ExchangeShape small_shape() {
  ExchangeShape shape;
  shape.hidden = hidden;
  return shape;
}

/// Three rows whose coded lengths differ: groups with a magnitude of one or more travel as they are.
std::vector<BFloat16> rows_of_different_length() {
  std::vector<BFloat16> rows;
  for (int i = 0; i < 3 * hidden; ++i) {
    const int group = i / scale_group;
    rows.push_back(to_bfloat16((group == 4 || group >= 7 ? 3.0f : 0.5f) / static_cast<float>(1 + i % 60)));
  }
  return rows;
}

struct Packed {
  std::vector<std::byte> memory;
  std::vector<std::size_t> lengths;
};

Packed pack(const ResultRow& format, const std::vector<BFloat16>& rows) {
  Packed packed;
  packed.memory.resize(3 * format.capacity);
  std::byte* out = packed.memory.data();
  for (int row = 0; row < 3; ++row) {
    packed.lengths.push_back(format.encode(rows.data() + row * hidden, out));
    out += packed.lengths.back();
  }
  return packed;
}

TEST(ResultRow, CodedRowsTakeWholeLinesOfWhatTheyNeed) {
  const ResultRow format(small_shape(), CombineFormat::logfmt10);

  const Packed packed = pack(format, rows_of_different_length());

  // 12 bytes of magnitudes, then 160 or 256 bytes a group, rounded up to 64.
  EXPECT_EQ(packed.lengths, (std::vector<std::size_t>{512, 640, 704}));
  EXPECT_EQ(format.capacity, 832u);
}

TEST(ResultRow, RowsOfDifferentLengthAreFoundBehindEachOther) {
  const ResultRow format(small_shape(), CombineFormat::logfmt10);
  const std::vector<BFloat16> rows = rows_of_different_length();
  const Packed packed = pack(format, rows);
  std::vector<const std::byte*> found;

  format.locate(packed.memory.data(), 3, found);

  ASSERT_EQ(found.size(), 3u);
  for (std::size_t row = 0; row < 3; ++row) {
    std::vector<BFloat16> room(hidden), expected(hidden);
    std::vector<std::byte> coded(logfmt10_row_bytes(hidden));
    encode_logfmt10(std::span(rows).subspan(row * hidden, hidden), coded.data());
    decode_logfmt10(coded.data(), expected);
    EXPECT_EQ(format.decode(found[row], room.data()), room.data());
    EXPECT_EQ(std::memcmp(room.data(), expected.data(), hidden * sizeof(BFloat16)), 0) << row;
  }
}

TEST(ResultRow, PartsCoverAllRowsInOrder) {
  const ResultRow format(small_shape(), CombineFormat::bf16);  // 768 bytes a row: 80 in 60 KiB

  const auto parts = format.parts(200);

  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].first, 0u);
  EXPECT_EQ(parts[0].count, 80u);
  EXPECT_EQ(parts[2].first, 160u);
  EXPECT_EQ(parts[2].count, 40u);
  EXPECT_TRUE(format.parts(0).empty());
}

TEST(ResultRow, Bfloat16RowsAreReadWhereTheyLie) {
  const ResultRow format(small_shape(), CombineFormat::bf16);
  const Packed packed = pack(format, rows_of_different_length());
  std::vector<const std::byte*> found;

  format.locate(packed.memory.data(), 3, found);

  EXPECT_EQ(format.capacity, hidden * sizeof(BFloat16));
  for (std::size_t row = 0; row < 3; ++row) {
    EXPECT_EQ(found[row], packed.memory.data() + row * format.capacity);
    EXPECT_EQ(static_cast<const void*>(format.decode(found[row], nullptr)), found[row]);
  }
}

}  // namespace
}  // namespace epskew::mpi
