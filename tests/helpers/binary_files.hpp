#pragma once

/// Hand-made .npy and safetensors bytes, written without the code under test.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace epskew::test {

/// `value` as `bytes` little-endian bytes.
inline std::string little_endian(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text.push_back(static_cast<char>(value >> (8 * i) & 0xff));
  return text;
}

template <class T>
std::string int_bytes(const std::vector<T>& values) {
  std::string text;
  for (const T value : values)
    text += little_endian(static_cast<std::uint64_t>(value), static_cast<int>(sizeof(T)));
  return text;
}

/// A .npy file of format version 1 with this header dict.
inline std::string npy(std::string_view dict, std::string_view data) {
  return std::string("\x93NUMPY\x01\x00", 8) + little_endian(dict.size(), 2) + std::string(dict) +
         std::string(data);
}

/// A .npy file of int64 values; `shape` as Python writes it, "(2, 3)".
inline std::string npy_int64(const std::string& shape, const std::vector<std::int64_t>& values) {
  return npy("{'descr': '<i8', 'fortran_order': False, 'shape': " + shape + ", }\n", int_bytes(values));
}

inline std::string safetensors(std::string_view header, std::string_view data) {
  return little_endian(header.size(), 8) + std::string(header) + std::string(data);
}

}  // namespace epskew::test
