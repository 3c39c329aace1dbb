#pragma once

/// bf16 and FP8 in registers. Bit for bit what exchange/number_formats.hpp defines, one value at a time.

#include <cstdint>

#include "backends/cuda/launch.hpp"

namespace epskew::cuda {

__device__ inline float low_bf16(std::uint32_t pair) {
  return __uint_as_float(pair << 16);
}
__device__ inline float high_bf16(std::uint32_t pair) {
  return __uint_as_float(pair & 0xffff0000u);
}

/// Two floats to bf16, rounded to nearest even.
__device__ inline std::uint32_t pack_bf16(float low, float high) {
  std::uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}

/// Two floats to e4m3, rounded to nearest even, saturating.
__device__ inline std::uint32_t pack_e4m3(float low, float high) {
  std::uint16_t pair;
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(high), "f"(low));
  return pair;
}

struct Scale {
  float stored;
  float multiplier;
};

/// amax·(1/448), or the power of two at or above it.
__device__ inline Scale scale_for(float amax, bool power_of_two) {
  const float scale = __fmul_rn(amax, 1.0f / 448.0f);
  if (!power_of_two || !isfinite(amax)) return {scale, __fdiv_rn(448.0f, amax)};
  const std::uint32_t bits = __float_as_uint(scale);
  const std::uint32_t exponent = (bits >> 23) + ((bits & 0x7fffffu) != 0 ? 1u : 0u);
  return {__uint_as_float(exponent << 23), __uint_as_float((254u - exponent) << 23)};
}

/// The largest magnitude of 128 channels that 16 neighbouring lanes hold 8 each, at least 1e-4.
__device__ inline float group_amax(uint4 values) {
  // Magnitudes of bf16 are ordered as their bits are, so both halves of a word are compared as integers.
  std::uint32_t largest = 0;
  for (const std::uint32_t word : {values.x, values.y, values.z, values.w}) {
    largest = __vmaxu2(largest, word & 0x7fff7fffu);
  }
  for (int distance = 8; distance > 0; distance /= 2) {
    largest = __vmaxu2(largest, __shfl_xor_sync(0xffffffffu, largest, distance));
  }
  const float both = __uint_as_float(max(largest << 16, largest & 0xffff0000u));
  return both < 1e-4f ? 1e-4f : both;
}

/// Eight bf16 to eight e4m3.
__device__ inline uint2 quantise(uint4 values, float multiplier) {
  const auto two = [multiplier](std::uint32_t pair) {
    return pack_e4m3(__fmul_rn(low_bf16(pair), multiplier), __fmul_rn(high_bf16(pair), multiplier));
  };
  return {two(values.x) | two(values.y) << 16, two(values.z) | two(values.w) << 16};
}

/// acc += weight · value for eight channels, each product and sum rounded on its own as the reference does.
__device__ inline void accumulate(float (&acc)[8], float weight, uint4 values) {
  const std::uint32_t words[4] = {values.x, values.y, values.z, values.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    acc[2 * i] = __fadd_rn(acc[2 * i], __fmul_rn(weight, low_bf16(words[i])));
    acc[2 * i + 1] = __fadd_rn(acc[2 * i + 1], __fmul_rn(weight, high_bf16(words[i])));
  }
}

__device__ inline uint4 round_to_bf16(const float (&acc)[8]) {
  return {pack_bf16(acc[0], acc[1]), pack_bf16(acc[2], acc[3]), pack_bf16(acc[4], acc[5]),
          pack_bf16(acc[6], acc[7])};
}

/// 16 bytes of data that another rank may have written during this launch: never through the read-only path.
__device__ inline uint4 load_row(const void* address) {
  uint4 v;
  asm volatile("ld.global.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(address));
  return v;
}
/// Asks for the lines of [begin, begin + bytes) to be in L2 soon; workers 0 … workers − 1 share them. Nothing
/// waits for it.
__device__ inline void prefetch_lines(const void* begin, std::uint64_t bytes, int worker, int workers) {
  constexpr std::uint64_t line = 128;
  const char* lines = static_cast<const char*>(begin);
  for (std::uint64_t i = line * static_cast<std::uint64_t>(worker); i < bytes;
       i += line * static_cast<std::uint64_t>(workers)) {
    asm volatile("prefetch.global.L2 [%0];" ::"l"(lines + i));
  }
}
/// 16 bytes of this rank's own input, read once.
__device__ inline uint4 load_input(const void* address) {
  uint4 v;
  asm("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
      : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
      : "l"(address));
  return v;
}
__device__ inline void store_row(void* address, uint4 v) {
  asm volatile("st.global.L1::no_allocate.v4.u32 [%0], {%1,%2,%3,%4};" ::"l"(address), "r"(v.x), "r"(v.y),
               "r"(v.z), "r"(v.w)
               : "memory");
}

}  // namespace epskew::cuda
