#pragma once

/// Whatever travels in one message is a whole number of lines, so that its length in lines fits an int.

#include <cstddef>

namespace epskew::mpi {

inline constexpr std::size_t line_bytes = 64;

/// `bytes` rounded up to whole lines.
constexpr std::size_t whole_lines(std::size_t bytes) {
  return (bytes + line_bytes - 1) / line_bytes * line_bytes;
}

}  // namespace epskew::mpi
