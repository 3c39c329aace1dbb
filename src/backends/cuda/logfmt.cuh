#pragma once

/// LogFMT-10 in registers: per 128 channels, magnitudes on a logarithmic grid of 511 levels between the
/// group's smallest and largest, plus zero and a sign: 10 bits a channel. As in DeepEP's low-latency combine,
/// a group is coded only where all its magnitudes are below 1 and not all equal; any other group travels as
/// bf16.
///
/// A row is [groups] slots of 256 bytes, then one word a group: {smallest, largest} as bf16, 0 for a bf16
/// group. A coded slot holds the low 8 bits of the 128 codes, then their high 2 bits: 160 of its 256 bytes
/// are used.

#include "backends/cuda/formats.cuh"
#include "epskew/exchange/shape.hpp"

namespace epskew::cuda {

inline constexpr int logfmt_slot = 2 * scale_group;
inline constexpr int logfmt_lanes = 16;  ///< that share a group, 8 channels each

/// The grid between two magnitudes: level c in 1..511 stands for 2^(low + (c - 1)·step).
struct LogGrid {
  float low;
  float step;

  __device__ LogGrid(float smallest, float largest) {
    low = __log2f(smallest);
    step = (__log2f(largest) - low) / 510.0f;
  }
  /// Added before flooring, so that a value goes to the nearer level on the linear scale, not on the log
  /// scale.
  __device__ float rounding() const { return 2.0f - __log2f((1.0f + exp2f(step)) * 0.5f) / step; }
};

/// Smallest nonzero and largest magnitude of a group, one word: {smallest, largest} as bf16; 0: send as bf16.
__device__ inline std::uint32_t logfmt_range(uint4 values) {
  const std::uint32_t words[4] = {values.x, values.y, values.z, values.w};
  std::uint32_t largest = 0;
  std::uint32_t smallest = 0xffff;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const std::uint32_t magnitude = words[i / 2] >> (i % 2 * 16) & 0x7fffu;
    largest = max(largest, magnitude);
    if (magnitude != 0) smallest = min(smallest, magnitude);
  }
#pragma unroll
  for (int distance = logfmt_lanes / 2; distance > 0; distance /= 2) {
    largest = max(largest, __shfl_xor_sync(0xffffffffu, largest, distance));
    smallest = min(smallest, __shfl_xor_sync(0xffffffffu, smallest, distance));
  }
  const float amax = low_bf16(largest);
  if (!(amax < 1.0f)) return 0;
  // No more than 32 octaves. Exact: a power of two times a bf16.
  const std::uint32_t least = __float_as_uint(amax * 0x1p-32f) >> 16;
  smallest = max(smallest, least);
  return smallest != 0 && smallest < largest ? smallest | largest << 16 : 0;
}

/// The codes of eight channels: level in bits 0-8, sign in bit 9.
struct LogCodes {
  uint2 low_bytes;
  std::uint32_t high_bits;  ///< 16 bits
};

__device__ inline LogCodes logfmt_encode(uint4 values, std::uint32_t range) {
  const LogGrid grid(low_bf16(range), high_bf16(range));
  const float shift = grid.rounding() - grid.low / grid.step;
  const std::uint32_t words[4] = {values.x, values.y, values.z, values.w};
  std::uint32_t bytes[2] = {0, 0};
  std::uint32_t high = 0;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const std::uint32_t bits = words[i / 2] >> (i % 2 * 16) & 0xffffu;
    const float magnitude = low_bf16(bits & 0x7fffu);
    const float level = floorf(fmaxf(__log2f(magnitude) / grid.step + shift, 0.0f));
    std::uint32_t code = (bits & 0x7fffu) == 0 ? 0u : min(static_cast<std::uint32_t>(level), 511u);
    code |= bits >> 15 << 9;
    bytes[i / 4] |= (code & 0xffu) << (i % 4 * 8);
    high |= code >> 8 << (2 * i);
  }
  return {{bytes[0], bytes[1]}, high};
}

/// acc += weight · value for eight coded channels.
__device__ inline void logfmt_accumulate(float (&acc)[8], float weight, LogCodes codes, std::uint32_t range) {
  const LogGrid grid(low_bf16(range), high_bf16(range));
  const std::uint32_t bytes[2] = {codes.low_bytes.x, codes.low_bytes.y};
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const std::uint32_t high = codes.high_bits >> (2 * i) & 3u;
    const std::uint32_t code = (bytes[i / 4] >> (i % 4 * 8) & 0xffu) | (high & 1u) << 8;
    const float magnitude = code == 0 ? 0.0f : exp2f(static_cast<float>(code - 1) * grid.step + grid.low);
    acc[i] = __fadd_rn(acc[i], __fmul_rn(weight, high >= 2 ? -magnitude : magnitude));
  }
}

/// Codes 8 channels of a row, starting at `channel`; all lanes of the warp take part. `row`: the encoded row.
__device__ inline void logfmt_store(char* row, int hidden, int channel, uint4 values) {
  const std::uint32_t range = logfmt_range(values);
  if (channel >= hidden) return;
  const int group = channel / scale_group;
  const int lane = channel % scale_group / 8;
  char* slot = row + group * logfmt_slot;
  if (range == 0) {
    store_row(slot + 16 * lane, values);
  } else {
    const LogCodes codes = logfmt_encode(values, range);
    *reinterpret_cast<uint2*>(slot + 8 * lane) = codes.low_bytes;
    *reinterpret_cast<std::uint16_t*>(slot + scale_group + 2 * lane) =
        static_cast<std::uint16_t>(codes.high_bits);
  }
  if (lane == 0) reinterpret_cast<std::uint32_t*>(row + 2 * hidden)[group] = range;
}

/// acc += weight · 8 channels of an encoded row.
__device__ inline void logfmt_add(float (&acc)[8], float weight, const char* row, int hidden, int channel) {
  const int group = channel / scale_group;
  const int lane = channel % scale_group / 8;
  const char* slot = row + group * logfmt_slot;
  const std::uint32_t range = *reinterpret_cast<const volatile std::uint32_t*>(row + 2 * hidden + 4 * group);
  if (range == 0) {
    accumulate(acc, weight, load_row(slot + 16 * lane));
    return;
  }
  LogCodes codes;
  const auto* bytes = reinterpret_cast<const volatile std::uint32_t*>(slot + 8 * lane);
  codes.low_bytes.x = bytes[0];
  codes.low_bytes.y = bytes[1];
  codes.high_bits = *reinterpret_cast<const volatile std::uint16_t*>(slot + scale_group + 2 * lane);
  logfmt_accumulate(acc, weight, codes, range);
}

}  // namespace epskew::cuda
