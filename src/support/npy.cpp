#include "epskew/support/npy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

#include "epskew/support/error.hpp"

namespace epskew {
namespace {

constexpr std::string_view magic = "\x93NUMPY";

[[noreturn]] void broken(const std::string& name, const std::string& why) {
  throw UsageError(fmt::format("{} is no valid .npy file ({}); save it again with numpy.save", name, why));
}

std::string_view header_of(std::string_view bytes, const std::string& name) {
  if (!looks_like_npy(bytes)) broken(name, "it does not begin with \\x93NUMPY");
  if (bytes.size() < magic.size() + 2) broken(name, "truncated in the header");
  const int version = static_cast<unsigned char>(bytes[magic.size()]);
  if (version < 1 || version > 3) broken(name, fmt::format("format version {}, 1 to 3 are known", version));
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  const std::size_t begin = magic.size() + 2 + length_bytes;
  if (bytes.size() < begin) broken(name, "truncated in the header");
  std::uint32_t length = 0;
  std::memcpy(&length, bytes.data() + magic.size() + 2, length_bytes);
  if (length > bytes.size() - begin) {
    broken(name,
           fmt::format("its header claims {} bytes, {} are left: truncated", length, bytes.size() - begin));
  }
  return bytes.substr(begin, length);
}

/// The text after `'key':` of the header, a Python dict of three known keys with literal values.
std::string_view value_of(std::string_view header, std::string_view key, const std::string& name) {
  for (const char quote : {'\'', '"'}) {
    const std::size_t found = header.find(fmt::format("{}{}{}:", quote, key, quote));
    if (found == std::string_view::npos) continue;
    std::string_view value = header.substr(found + key.size() + 3);
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    return value;
  }
  broken(name, fmt::format("its header has no '{}'", key));
}

DType parse_descr(std::string_view value, const std::string& name) {
  constexpr std::array<std::pair<std::string_view, DType>, 12> known = {{{"|b1", DType::boolean},
                                                                         {"|i1", DType::i8},
                                                                         {"|u1", DType::u8},
                                                                         {"<i2", DType::i16},
                                                                         {"<u2", DType::u16},
                                                                         {"<i4", DType::i32},
                                                                         {"<u4", DType::u32},
                                                                         {"<i8", DType::i64},
                                                                         {"<u8", DType::u64},
                                                                         {"<f2", DType::f16},
                                                                         {"<f4", DType::f32},
                                                                         {"<f8", DType::f64}}};
  const char quote = value.empty() ? ' ' : value.front();
  const std::size_t end = quote == '\'' || quote == '"' ? value.find(quote, 1) : std::string_view::npos;
  if (end == std::string_view::npos) {
    throw UsageError(
        fmt::format("{} holds a structured array (plain numbers were expected); save one field of it", name));
  }
  const std::string_view descr = value.substr(1, end - 1);
  for (const auto& [text, dtype] : known) {
    if (descr == text) return dtype;
  }
  throw UsageError(fmt::format(
      "{} has dtype {} (little-endian numbers were expected); save array.astype('<i8')", name, descr));
}

std::vector<std::int64_t> parse_shape(std::string_view value, const std::string& name) {
  const std::size_t end = value.find(')');
  if (value.empty() || value.front() != '(' || end == std::string_view::npos)
    broken(name, "its shape is no tuple");
  std::vector<std::int64_t> shape;
  const char* at = value.data() + 1;
  const char* const last = value.data() + end;
  const auto skip_spaces = [&] {
    while (at != last && *at == ' ') ++at;
  };
  for (skip_spaces(); at != last; skip_spaces()) {
    std::int64_t extent = 0;
    const auto [next, error] = std::from_chars(at, last, extent);
    if (error != std::errc()) broken(name, "its shape is no tuple of sizes");
    shape.push_back(extent);
    at = next;
    skip_spaces();
    if (at != last && *at++ != ',') broken(name, "its shape is no tuple of sizes");
  }
  return shape;
}

}  // namespace

bool looks_like_npy(std::string_view bytes) {
  return bytes.starts_with(magic);
}

TensorView parse_npy(std::string_view bytes, const std::string& name) {
  const std::string_view header = header_of(bytes, name);
  TensorView array;
  array.dtype = parse_descr(value_of(header, "descr", name), name);
  array.shape = parse_shape(value_of(header, "shape", name), name);
  const std::string_view order = value_of(header, "fortran_order", name);
  if (order.starts_with("True")) {
    throw UsageError(fmt::format(
        "{} is in Fortran order (C order was expected); save numpy.ascontiguousarray of it", name));
  }
  if (!order.starts_with("False")) broken(name, "its fortran_order is neither True nor False");
  array.bytes = bytes.substr(static_cast<std::size_t>(header.data() + header.size() - bytes.data()));
  const std::int64_t needed = checked_elements(array.shape, array.dtype, name) * size_of(array.dtype);
  if (static_cast<std::uint64_t>(needed) != array.bytes.size()) {
    broken(name, fmt::format("shape {} needs {} bytes of data, the file has {}", to_string(array.shape),
                             needed, array.bytes.size()));
  }
  return array;
}

}  // namespace epskew
