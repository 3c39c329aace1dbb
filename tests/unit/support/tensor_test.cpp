#include "epskew/support/tensor.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "epskew/support/npy.hpp"
#include "helpers/binary_files.hpp"
#include "helpers/usage_error.hpp"

namespace epskew {
namespace {

using Integers = std::vector<std::int64_t>;

template <class T>
std::string_view bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

TEST(Tensor, ReadsEveryIntegerType) {
  const std::vector<std::int8_t> i8 = {-128, 127};
  const std::vector<std::uint8_t> u8 = {0, 255};
  const std::vector<std::int16_t> i16 = {-32768, 32767};
  const std::vector<std::uint16_t> u16 = {65535};
  const std::vector<std::int32_t> i32 = {INT32_MIN, INT32_MAX};
  const std::vector<std::uint32_t> u32 = {UINT32_MAX};
  const std::vector<std::int64_t> i64 = {INT64_MIN, INT64_MAX};
  const std::vector<std::uint64_t> u64 = {INT64_MAX};

  EXPECT_EQ(to_int64({DType::i8, {2}, bytes_of(i8)}, "t"), (Integers{-128, 127}));
  EXPECT_EQ(to_int64({DType::u8, {2}, bytes_of(u8)}, "t"), (Integers{0, 255}));
  EXPECT_EQ(to_int64({DType::i16, {2}, bytes_of(i16)}, "t"), (Integers{-32768, 32767}));
  EXPECT_EQ(to_int64({DType::u16, {1}, bytes_of(u16)}, "t"), (Integers{65535}));
  EXPECT_EQ(to_int64({DType::i32, {2}, bytes_of(i32)}, "t"), (Integers{INT32_MIN, INT32_MAX}));
  EXPECT_EQ(to_int64({DType::u32, {1}, bytes_of(u32)}, "t"), (Integers{UINT32_MAX}));
  EXPECT_EQ(to_int64({DType::i64, {2}, bytes_of(i64)}, "t"), (Integers{INT64_MIN, INT64_MAX}));
  EXPECT_EQ(to_int64({DType::u64, {1}, bytes_of(u64)}, "t"), (Integers{INT64_MAX}));
}

TEST(Tensor, TakesWholeFloatsAndRefusesTheRest) {
  const std::vector<double> whole = {3.0, -2.0};

  EXPECT_EQ(to_int64({DType::f64, {2}, bytes_of(whole)}, "t"), (Integers{3, -2}));
  for (const double bad : {0.5, 1e300, std::nan(""), HUGE_VAL}) {
    const std::vector<double> values = {bad};
    EXPECT_NE(test::usage_error_of([&] { to_int64({DType::f64, {1}, bytes_of(values)}, "t"); }), "") << bad;
  }
  const std::vector<std::uint64_t> large = {std::uint64_t{1} << 63};
  EXPECT_NE(test::usage_error_of([&] { to_int64({DType::u64, {1}, bytes_of(large)}, "t"); }), "");
}

TEST(Tensor, ReadsHalfFloats) {
  // 1, the smallest subnormal, -2, infinity, the largest finite value
  const std::vector<std::uint16_t> half = {0x3c00, 0x0001, 0xc000, 0x7c00, 0x7bff};
  const std::vector<std::uint16_t> brain = {0x3f80};

  EXPECT_EQ(to_float({DType::f16, {5}, bytes_of(half)}),
            (std::vector<float>{1.0f, 0x1p-24f, -2.0f, std::numeric_limits<float>::infinity(), 65504.0f}));
  EXPECT_EQ(to_float({DType::bf16, {1}, bytes_of(brain)}), (std::vector<float>{1.0f}));
}

TEST(Tensor, SizesThatOverflowAreRefused) {
  EXPECT_EQ(checked_elements({3, 0, 5}, DType::i64, "t"), 0);
  EXPECT_EQ(checked_elements({}, DType::i64, "t"), 1);
  EXPECT_NE(test::usage_error_of([] { checked_elements({-1}, DType::u8, "t"); }).find("negative"),
            std::string::npos);
  EXPECT_NE(test::usage_error_of([] {
              checked_elements({INT64_MAX, 2}, DType::u8, "t");
            }).find("2^62"),
            std::string::npos);
}

TEST(Npy, ReadsAllThreeVersionsOfTheHeader) {
  const std::string dict = "{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }\n";
  const std::string data = test::little_endian(5, 4) + test::little_endian(7, 4);
  const std::string magic = "\x93NUMPY";
  const std::vector<std::string> files = {
      magic + std::string("\x01\x00", 2) + test::little_endian(dict.size(), 2) + dict + data,
      magic + std::string("\x02\x00", 2) + test::little_endian(dict.size(), 4) + dict + data,
      magic + std::string("\x03\x00", 2) + test::little_endian(dict.size(), 4) + dict + data,
  };

  for (const std::string& file : files) EXPECT_EQ(to_int64(parse_npy(file, "t.npy"), "t"), (Integers{5, 7}));
}

TEST(Npy, ReadsScalarsAndShapesOfOneAxis) {
  const std::string scalar = test::npy("{'descr': '|u1', 'fortran_order': False, 'shape': (), }\n", "\x09");
  const std::string row =
      test::npy("{\"descr\": \"|u1\", \"fortran_order\": False, \"shape\": (2,)}", "\x01\x02");

  EXPECT_TRUE(parse_npy(scalar, "t.npy").shape.empty());
  EXPECT_EQ(to_int64(parse_npy(scalar, "t.npy"), "t"), (Integers{9}));
  EXPECT_EQ(parse_npy(row, "t.npy").shape, (Integers{2}));
}

}  // namespace
}  // namespace epskew
