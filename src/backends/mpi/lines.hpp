#pragma once

/// Whatever travels in one message is a whole number of lines, so that its length in lines fits an int; and
/// what is long travels as several messages.

#include <cstddef>

namespace epskew::mpi {

inline constexpr std::size_t line_bytes = 64;

/// The length of a message where something longer is divided. MPI libraries ask before they send a long one
/// (Open MPI over TCP: from 64 KiB on), and the answer queues behind the data that travels the other way on
/// the same connection: a link then idles for as long as that data takes, tens of milliseconds of 1 Gbit/s.
inline constexpr std::size_t message_bytes = 60 << 10;
static_assert(message_bytes % line_bytes == 0);

/// `bytes` rounded up to whole lines.
constexpr std::size_t whole_lines(std::size_t bytes) {
  return (bytes + line_bytes - 1) / line_bytes * line_bytes;
}

}  // namespace epskew::mpi
