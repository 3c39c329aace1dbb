#pragma once

/// Dense little-endian arrays as they stand in a file.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace epskew {

enum class DType { boolean, i8, u8, i16, u16, i32, u32, i64, u64, f16, bf16, f32, f64 };

/// Bytes of one element.
std::int64_t size_of(DType dtype);

/// A row-major (C order) array whose bytes somebody else owns.
struct TensorView {
  DType dtype = DType::u8;
  std::vector<std::int64_t> shape;  ///< each >= 0; empty = one element
  std::string_view bytes;           ///< little-endian, exactly the elements

  std::int64_t num_elements() const;
};

/// Product of `shape`. Throws UsageError, starting with `what`, where an extent is negative or the array
/// would not fit in 2^62 bytes.
std::int64_t checked_elements(const std::vector<std::int64_t>& shape, DType dtype, const std::string& what);

/// The elements as integers. Floating-point elements are taken where they are whole numbers (recorders that
/// average write counts as floats). Throws UsageError, starting with `what`, for anything else.
std::vector<std::int64_t> to_int64(const TensorView& tensor, const std::string& what);

/// The elements as binary32, rounded to nearest where they are wider. Infinities and NaN pass.
std::vector<float> to_float(const TensorView& tensor);

/// "[8, 128, 8]"
std::string to_string(const std::vector<std::int64_t>& shape);

}  // namespace epskew
