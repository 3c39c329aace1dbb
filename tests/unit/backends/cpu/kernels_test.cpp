// Every instruction set that this machine has must agree with the scalar definition, bit for bit.

#include "exchange/kernels.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <set>
#include <string>
#include <vector>

// The set of targets that kernels.cpp was compiled for.
#include <hwy/targets.h>

#include "epskew/exchange/logfmt.hpp"
#include "epskew/exchange/number_formats.hpp"
#include "epskew/support/random.hpp"

namespace epskew::cpu {
namespace {

/// Runs `check` once with each instruction set of this machine; Highway's test hook chooses it.
void on_every_target(const std::function<void(const std::string&)>& check) {
  const std::vector<std::int64_t> targets = hwy::SupportedAndGeneratedTargets();
  for (const std::int64_t target : targets) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    check(instruction_set());
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

std::vector<BFloat16> every_finite_value() {
  std::vector<BFloat16> x;
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    if ((bits & 0x7f80u) != 0x7f80u) x.push_back({static_cast<std::uint16_t>(bits)});
  }
  return x;  // 65024 = 508 groups
}

void expect_equal_quantisation(std::span<const BFloat16> x, bool power_of_two, const std::string& target) {
  std::vector<std::uint8_t> expected(x.size());
  std::vector<std::uint8_t> found(x.size());
  std::vector<float> expected_scales(x.size() / scale_group);
  std::vector<float> found_scales(expected_scales.size());

  quantise_fp8(x, power_of_two, expected, expected_scales);
  quantise_row(x.data(), static_cast<int>(x.size()), power_of_two, found.data(), found_scales.data());

  ASSERT_EQ(found, expected) << target;
  ASSERT_EQ(std::memcmp(found_scales.data(), expected_scales.data(), found_scales.size() * sizeof(float)), 0)
      << target;
}

// Once in order (like magnitudes share a group), once shuffled (a group spans the whole range, subnormals
// included).
TEST(QuantiseRow, EqualsTheDefinitionForEveryBfloat16) {
  std::vector<BFloat16> values = every_finite_value();
  RandomStream random(1, 1);
  for (int order = 0; order < 3; ++order) {
    on_every_target([&](const std::string& target) {
      for (std::size_t first = 0; first < values.size(); first += 4 * scale_group) {
        for (const bool power_of_two : {false, true}) {
          expect_equal_quantisation(std::span(values).subspan(first, 4 * scale_group), power_of_two, target);
        }
      }
    });
    shuffle(values, random);
  }
}

// Otherwise the tests of this file would compare one instruction set with itself.
TEST(Targets, AreReallySwitched) {
  const std::size_t targets = hwy::SupportedAndGeneratedTargets().size();
  std::set<std::string> names;

  on_every_target([&](const std::string& target) { names.insert(target); });

  EXPECT_EQ(names.size(), targets);
}

// Groups of like magnitude under every scale: what tokens look like.
TEST(QuantiseRow, EqualsTheDefinitionForRandomTokens) {
  RandomStream random(2, 1);
  std::vector<BFloat16> x(7168);
  for (int token = 0; token < 20; ++token) {
    for (BFloat16& value : x)
      value = to_bfloat16(static_cast<float>((random.uniform() - 0.5) * std::exp2(token - 10)));
    on_every_target([&](const std::string& target) {
      expect_equal_quantisation(x, false, target);
      expect_equal_quantisation(x, true, target);
    });
  }
}

TEST(QuantiseRow, PoisonsTheGroupsThatHoldNanOrInfinity) {
  for (const BFloat16 special : {BFloat16{0x7f80}, BFloat16{0xff80}, BFloat16{0x7fc0}}) {
    std::vector<BFloat16> x(512, to_bfloat16(0.25f));
    x[300] = special;
    on_every_target([&](const std::string& target) { expect_equal_quantisation(x, false, target); });
  }
}

TEST(ReduceRows, EqualsTheDefinition) {
  constexpr int hidden = 1152;
  RandomStream random(3, 1);
  std::vector<std::vector<BFloat16>> storage(16, std::vector<BFloat16>(hidden));
  for (auto& row : storage) {
    for (BFloat16& value : row) value = to_bfloat16(static_cast<float>(random.uniform() - 0.5));
  }
  for (int count = 0; count <= 16; ++count) {
    std::vector<WeightedRow> rows;
    for (int i = 0; i < count; ++i) {
      rows.push_back({storage[static_cast<std::size_t>(i)].data(), static_cast<float>(random.uniform())});
    }
    std::vector<BFloat16> expected(hidden);
    for (std::size_t column = 0; column < hidden; ++column) {
      float sum = 0;
      for (const WeightedRow& row : rows) sum += row.weight * to_float(row.row[column]);
      expected[column] = to_bfloat16(sum);
    }

    on_every_target([&](const std::string& target) {
      std::vector<BFloat16> found(hidden, BFloat16{0x1234});
      reduce_rows(rows, hidden, found.data());
      ASSERT_EQ(found, expected) << target << ", " << count << " rows";

      alignas(64) std::array<BFloat16, hidden> streamed{};
      reduce_rows_streaming(rows, std::span(rows).first(rows.size() / 2), hidden, streamed.data());
      finish_streaming();
      ASSERT_TRUE(std::equal(expected.begin(), expected.end(), streamed.begin())) << target << ", " << count;
    });
  }
}

TEST(ReduceRows, CarriesNanAndInfinityThrough) {
  std::vector<BFloat16> row(128, to_bfloat16(1.0f));
  row[5].bits = 0x7fc0;
  row[6].bits = 0x7f80;
  on_every_target([&](const std::string& target) {
    std::vector<BFloat16> out(128);
    const std::vector<WeightedRow> rows = {{row.data(), 2.0f}};
    reduce_rows(rows, 128, out.data());
    EXPECT_TRUE(std::isnan(to_float(out[5]))) << target;
    EXPECT_TRUE(std::isinf(to_float(out[6]))) << target;
    EXPECT_EQ(to_float(out[7]), 2.0f) << target;
  });
}

TEST(StreamCopies, WriteOneBlockToEveryPlace) {
  std::vector<std::byte> from(512);
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<std::byte>(i * 5 + 3);
  on_every_target([&](const std::string& target) {
    alignas(64) std::array<std::byte, 3 * 1024> to{};
    const std::array<std::byte*, 2> places = {to.data() + 2048, to.data()};
    std::array<std::byte, 3 * 1024> expected{};
    std::copy(from.begin(), from.end(), expected.begin() + 2048 + 256);
    std::copy(from.begin(), from.end(), expected.begin() + 256);

    stream_copies(from.data(), places, 256, from.size());
    finish_streaming();

    EXPECT_EQ(to, expected) << target;
  });
}

/// Values of `magnitudes` in their order, every third of them negative, zeros and subnormals among them.
std::vector<BFloat16> signed_values(std::span<const BFloat16> magnitudes) {
  std::vector<BFloat16> x(magnitudes.begin(), magnitudes.end());
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (i % 31 == 7) x[i].bits = static_cast<std::uint16_t>(i % 5);
    if (i % 3 == 1) x[i].bits |= 0x8000u;
  }
  return x;
}

// Like magnitudes in a group, groups that span the whole range, and rows that mix groups below 1, which are
// coded, with others, which are not.
TEST(LogfmtRow, EqualsTheDefinitionForEveryFiniteMagnitude) {
  std::vector<BFloat16> magnitudes;
  for (std::uint32_t bits = 0; bits < 0x7f80u; ++bits)
    magnitudes.push_back({static_cast<std::uint16_t>(bits)});
  constexpr std::size_t row = 6 * scale_group;
  RandomStream random(5, 1);
  for (int order = 0; order < 4; ++order) {
    if (order == 2) magnitudes.resize(0x3f80);  // shuffled groups of all magnitudes hold one above 1
    const std::vector<BFloat16> values = signed_values(magnitudes);
    on_every_target([&](const std::string& target) {
      for (std::size_t first = 0; first + row <= values.size(); first += row) {
        const std::span<const BFloat16> x = std::span(values).subspan(first, row);
        std::vector<std::byte> expected(logfmt10_row_bytes(row), std::byte{0xa5});
        std::vector<std::byte> found = expected;
        std::vector<BFloat16> expected_back(row);
        std::vector<BFloat16> back(row);

        const std::size_t expected_bytes = encode_logfmt10(x, expected.data());
        const std::size_t bytes = encode_logfmt_row(x.data(), static_cast<int>(row), found.data());
        decode_logfmt10(expected.data(), expected_back);
        decode_logfmt_row(expected.data(), static_cast<int>(row), back.data());

        ASSERT_EQ(bytes, expected_bytes) << target;
        ASSERT_EQ(found, expected) << target << ", values from " << first;
        ASSERT_EQ(back, expected_back) << target << ", values from " << first;
      }
    });
    shuffle(magnitudes, random);
  }
}

TEST(StreamCopy, CopiesEveryByteAndNoMore) {
  std::vector<std::byte> from(4096);
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<std::byte>(i * 7 + 1);
  on_every_target([&](const std::string& target) {
    for (const std::size_t bytes : {64u, 128u, 896u, 4032u}) {
      alignas(64) std::array<std::byte, 4096> to{};
      stream_copy(from.data(), to.data(), bytes);
      finish_streaming();
      EXPECT_TRUE(std::equal(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(bytes), to.begin()))
          << target;
      EXPECT_TRUE(std::all_of(to.begin() + static_cast<std::ptrdiff_t>(bytes), to.end(), [](std::byte b) {
        return b == std::byte{0};
      })) << target;
    }
  });
}

}  // namespace
}  // namespace epskew::cpu
