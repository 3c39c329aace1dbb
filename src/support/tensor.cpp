#include "epskew/support/tensor.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "epskew/support/bfloat16.hpp"
#include "epskew/support/error.hpp"

namespace epskew {
namespace {

template <class T>
T load(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

float half_to_float(std::uint16_t bits) {
  const float sign = (bits & 0x8000u) != 0 ? -1.0f : 1.0f;
  const int exponent = bits >> 10 & 0x1f;
  const int fraction = bits & 0x3ff;
  if (exponent == 0x1f) {
    return fraction == 0 ? sign * std::numeric_limits<float>::infinity()
                         : std::numeric_limits<float>::quiet_NaN();
  }
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
  return sign * std::ldexp(static_cast<float>(0x400 + fraction), exponent - 25);
}

/// Calls use(value) with every element as the C++ type that holds it exactly.
template <class Use>
void for_each_element(const TensorView& tensor, Use&& use) {
  const char* at = tensor.bytes.data();
  const auto step = static_cast<std::size_t>(size_of(tensor.dtype));
  const auto visit = [&](auto read) {
    for (std::int64_t i = 0, n = tensor.num_elements(); i < n; ++i, at += step) use(read(at));
  };
  switch (tensor.dtype) {
    case DType::boolean:
    case DType::u8:
      return visit(load<std::uint8_t>);
    case DType::i8:
      return visit(load<std::int8_t>);
    case DType::i16:
      return visit(load<std::int16_t>);
    case DType::u16:
      return visit(load<std::uint16_t>);
    case DType::i32:
      return visit(load<std::int32_t>);
    case DType::u32:
      return visit(load<std::uint32_t>);
    case DType::i64:
      return visit(load<std::int64_t>);
    case DType::u64:
      return visit(load<std::uint64_t>);
    case DType::f16:
      return visit([](const char* p) { return half_to_float(load<std::uint16_t>(p)); });
    case DType::bf16:
      return visit([](const char* p) { return to_float(BFloat16{load<std::uint16_t>(p)}); });
    case DType::f32:
      return visit(load<float>);
    case DType::f64:
      return visit(load<double>);
  }
}

template <class T>
bool is_int64(T value) {
  if constexpr (std::is_floating_point_v<T>) {
    return std::floor(value) == value && std::abs(value) < T{0x1p62};
  } else {
    return std::in_range<std::int64_t>(value);
  }
}

}  // namespace

std::int64_t size_of(DType dtype) {
  switch (dtype) {
    case DType::boolean:
    case DType::i8:
    case DType::u8:
      return 1;
    case DType::i16:
    case DType::u16:
    case DType::f16:
    case DType::bf16:
      return 2;
    case DType::i32:
    case DType::u32:
    case DType::f32:
      return 4;
    default:
      return 8;
  }
}

std::int64_t TensorView::num_elements() const {
  return static_cast<std::int64_t>(bytes.size()) / size_of(dtype);
}

std::int64_t checked_elements(const std::vector<std::int64_t>& shape, DType dtype, const std::string& what) {
  const std::int64_t limit = (std::int64_t{1} << 62) / size_of(dtype);
  std::int64_t elements = 1;
  for (const std::int64_t extent : shape) {
    if (extent < 0)
      throw UsageError(fmt::format("{} has shape {} (an extent is negative); write the file again", what,
                                   to_string(shape)));
    if (extent != 0 && elements > limit / extent) {
      throw UsageError(fmt::format("{} has shape {} (more than 2^62 bytes); write the file again", what,
                                   to_string(shape)));
    }
    elements *= extent;
  }
  return elements;
}

std::vector<std::int64_t> to_int64(const TensorView& tensor, const std::string& what) {
  std::vector<std::int64_t> values;
  values.reserve(static_cast<std::size_t>(tensor.num_elements()));
  for_each_element(tensor, [&](auto value) {
    if (!is_int64(value)) {
      throw UsageError(fmt::format(
          "{} holds {} at element {} (a whole number of 64 bits was expected); convert it to int64", what,
          value, values.size()));
    }
    values.push_back(static_cast<std::int64_t>(value));
  });
  return values;
}

std::vector<float> to_float(const TensorView& tensor) {
  std::vector<float> values;
  values.reserve(static_cast<std::size_t>(tensor.num_elements()));
  for_each_element(tensor, [&](auto value) { values.push_back(static_cast<float>(value)); });
  return values;
}

std::string to_string(const std::vector<std::int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

}  // namespace epskew
