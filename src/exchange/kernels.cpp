#include "exchange/kernels.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "epskew/exchange/number_formats.hpp"

// Highway compiles the rest of this file once per instruction set and picks one at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "exchange/kernels.cpp"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace epskew {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_SCALAR

// No vectors to be had: the definitions themselves.

void quantise_row(const BFloat16* x, int hidden, bool power_of_two, std::uint8_t* codes, float* scales) {
  const auto columns = static_cast<std::size_t>(hidden);
  quantise_fp8({x, columns}, power_of_two, {codes, columns}, {scales, columns / scale_group});
}

void reduce_rows(const WeightedRow* rows, std::size_t count, int hidden, BFloat16* out) {
  for (std::size_t column = 0; column < static_cast<std::size_t>(hidden); ++column) {
    float sum = 0.0f;
    for (std::size_t i = 0; i < count; ++i) sum += rows[i].weight * to_float(rows[i].row[column]);
    out[column] = to_bfloat16(sum);
  }
}

void reduce_rows_streaming(const WeightedRow* rows, std::size_t count, const WeightedRow* /*next*/,
                           std::size_t /*next_count*/, int hidden, BFloat16* out) {
  reduce_rows(rows, count, hidden, out);
}

void stream_copy(const std::byte* from, std::byte* to, std::size_t bytes) {
  std::memcpy(to, from, bytes);
}

void stream_copies(const std::byte* from, std::byte* const* to, std::size_t count, std::size_t offset,
                   std::size_t bytes) {
  for (std::size_t i = 0; i < count; ++i) std::memcpy(to[i] + offset, from, bytes);
}

#else

namespace hn = hwy::HWY_NAMESPACE;

// At most 1024 bits, however wide the machine's vectors: rows come in multiples of two vectors.
using U16 = hn::CappedTag<std::uint16_t, scale_group / 2>;
static_assert(2 * hn::MaxLanes(U16()) <= scale_group, "two vectors must not be wider than a scale group");
using U8 = hn::Rebind<std::uint8_t, U16>;
using U32 = hn::Repartition<std::uint32_t, U16>;
using I32 = hn::RebindToSigned<U32>;
using F32 = hn::RebindToFloat<U32>;
using VecU16 = hn::Vec<U16>;
using VecU32 = hn::Vec<U32>;
using VecF32 = hn::Vec<F32>;

constexpr std::size_t max_groups = 16384 / scale_group;

// A vector of bf16 is worked on as two vectors of f32, the values at even and at odd positions: no shuffle is
// needed.
HWY_INLINE VecF32 even_values(VecU16 v) {
  return hn::BitCast(F32(), hn::ShiftLeft<16>(hn::BitCast(U32(), v)));
}
HWY_INLINE VecF32 odd_values(VecU16 v) {
  return hn::BitCast(F32(), hn::And(hn::BitCast(U32(), v), hn::Set(U32(), 0xffff0000u)));
}

HWY_INLINE VecU16 load(const BFloat16* from) {
  return hn::LoadU(U16(), reinterpret_cast<const std::uint16_t*>(from));
}

/// Bits of the largest magnitude of one group; magnitudes of bf16 are ordered as their bits.
HWY_INLINE std::uint32_t largest_magnitude(const BFloat16* group) {
  const std::size_t lanes = hn::Lanes(U16());
  VecU32 largest = hn::Zero(U32());
  for (std::size_t i = 0; i < scale_group; i += lanes) {
    const VecU32 pair = hn::BitCast(U32(), hn::And(load(group + i), hn::Set(U16(), std::uint16_t{0x7fff})));
    largest = hn::Max(largest, hn::Max(hn::And(pair, hn::Set(U32(), 0xffffu)), hn::ShiftRight<16>(pair)));
  }
  return hn::GetLane(hn::MaxOfLanes(U32(), largest));
}

/// e4m3 codes of magnitudes that are at most 448 once rounded; the scalar to_e4m3 explains the addition.
HWY_INLINE VecU32 encode_magnitudes(VecF32 magnitude, VecF32 multiplier) {
  const VecF32 value = hn::Mul(magnitude, multiplier);
  const auto exponent = hn::And(hn::BitCast(I32(), value), hn::Set(I32(), 0x7f800000));
  const VecU32 binade = hn::BitCast(U32(), hn::Max(exponent, hn::Set(I32(), 121 << 23)));
  const VecU32 magic = hn::Add(binade, hn::Set(U32(), 20u << 23));
  const VecU32 sum = hn::BitCast(U32(), hn::Add(value, hn::BitCast(F32(), magic)));
  return hn::Sub(hn::Add(hn::Sub(sum, magic), hn::ShiftRight<20>(binade)), hn::Set(U32(), 121u << 3));
}

HWY_INLINE void encode_group(const BFloat16* x, float multiplier, std::uint8_t* codes) {
  const std::size_t lanes = hn::Lanes(U16());
  const VecF32 factor = hn::Set(F32(), multiplier);
  for (std::size_t i = 0; i < scale_group; i += lanes) {
    const VecU16 value = load(x + i);
    const VecU16 magnitude = hn::And(value, hn::Set(U16(), std::uint16_t{0x7fff}));
    const VecU32 even = encode_magnitudes(even_values(magnitude), factor);
    const VecU32 odd = encode_magnitudes(odd_values(magnitude), factor);
    const VecU16 code = hn::BitCast(U16(), hn::Or(even, hn::ShiftLeft<16>(odd)));
    const VecU16 sign = hn::And(hn::ShiftRight<8>(value), hn::Set(U16(), std::uint16_t{0x80}));
    hn::StoreU(hn::TruncateTo(U8(), hn::Or(code, sign)), U8(), codes + i);
  }
}

/// `largest` [groups] bits → scales and multipliers [groups], as fp8_scale for finite values. All arrays have
/// room for a whole vector behind the last group.
HWY_INLINE void make_scales(const std::uint32_t* largest, std::size_t groups, bool power_of_two,
                            float* scales, float* multipliers) {
  for (std::size_t i = 0; i < groups; i += hn::Lanes(F32())) {
    const VecF32 raw = hn::BitCast(F32(), hn::ShiftLeft<16>(hn::LoadU(U32(), largest + i)));
    const VecF32 amax = hn::Max(raw, hn::Set(F32(), 1e-4f));
    VecF32 scale = hn::Mul(amax, hn::Set(F32(), 1.0f / 448.0f));
    VecF32 multiplier = hn::Div(hn::Set(F32(), 448.0f), amax);
    if (power_of_two) {
      const VecU32 round_up = hn::Add(hn::BitCast(U32(), scale), hn::Set(U32(), 0x7fffffu));
      const VecU32 exponent = hn::ShiftRight<23>(round_up);
      scale = hn::BitCast(F32(), hn::ShiftLeft<23>(exponent));
      multiplier = hn::BitCast(F32(), hn::ShiftLeft<23>(hn::Sub(hn::Set(U32(), 254u), exponent)));
    }
    hn::StoreU(scale, F32(), scales + i);
    hn::StoreU(multiplier, F32(), multipliers + i);
  }
}

void quantise_row(const BFloat16* x, int hidden, bool power_of_two, std::uint8_t* codes, float* scales) {
  constexpr std::size_t room = max_groups + HWY_MAX_BYTES / sizeof(float);
  alignas(64) std::array<std::uint32_t, room> largest;
  alignas(64) std::array<float, room> scale;
  alignas(64) std::array<float, room> multiplier;
  const std::size_t groups = static_cast<std::size_t>(hidden) / scale_group;
  std::uint32_t overall = 0;
  for (std::size_t group = 0; group < groups; ++group) {
    largest[group] = largest_magnitude(x + group * scale_group);
    overall = std::max(overall, largest[group]);
  }
  if (overall >= 0x7f80u) {  // infinities and NaN take the definition itself
    quantise_fp8({x, static_cast<std::size_t>(hidden)}, power_of_two,
                 {codes, static_cast<std::size_t>(hidden)}, {scales, groups});
    return;
  }
  std::fill_n(largest.begin() + static_cast<std::ptrdiff_t>(groups), HWY_MAX_BYTES / sizeof(float), 0u);
  make_scales(largest.data(), groups, power_of_two, scale.data(), multiplier.data());
  std::copy_n(scale.begin(), groups, scales);
  for (std::size_t group = 0; group < groups; ++group) {
    encode_group(x + group * scale_group, multiplier[group], codes + group * scale_group);
  }
}

/// Rounds to bf16 (nearest, ties to even; NaN stays NaN) in the upper half of each lane.
HWY_INLINE VecU32 round_to_upper_half(VecF32 value) {
  const VecU32 bits = hn::BitCast(U32(), value);
  const VecU32 odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(U32(), 1u));
  const VecU32 rounded = hn::Add(hn::Add(bits, hn::Set(U32(), 0x7fffu)), odd);
  const VecU32 quiet = hn::Or(bits, hn::Set(U32(), 0x400000u));
  const auto is_nan = hn::RebindMask(U32(), hn::IsNaN(value));
  return hn::IfThenElse(is_nan, quiet, rounded);
}

HWY_INLINE VecU16 rounded(VecF32 even, VecF32 odd) {
  const VecU32 high = hn::And(round_to_upper_half(odd), hn::Set(U32(), 0xffff0000u));
  const VecU32 low = hn::ShiftRight<16>(round_to_upper_half(even));
  return hn::BitCast(U16(), hn::Or(high, low));
}
HWY_INLINE void store(VecF32 even, VecF32 odd, BFloat16* to) {
  hn::StoreU(rounded(even, odd), U16(), reinterpret_cast<std::uint16_t*>(to));
}
HWY_INLINE void stream(VecF32 even, VecF32 odd, BFloat16* to) {
  hn::Stream(rounded(even, odd), U16(), reinterpret_cast<std::uint16_t*>(to));
}

// -ffp-contract=off and separate Mul and Add: the same rounding with and without FMA units.
HWY_INLINE void accumulate(VecU16 value, VecF32 weight, VecF32& even, VecF32& odd) {
  even = hn::Add(even, hn::Mul(weight, even_values(value)));
  odd = hn::Add(odd, hn::Mul(weight, odd_values(value)));
}

/// One vector of bf16 at `column`, and the next.
struct TwoSums {
  VecF32 even0, odd0, even1, odd1;
};
HWY_INLINE TwoSums sum_at(const WeightedRow* rows, std::size_t count, std::size_t column) {
  const std::size_t lanes = hn::Lanes(U16());
  const VecF32 zero = hn::Zero(F32());
  TwoSums sums{zero, zero, zero, zero};
  for (std::size_t i = 0; i < count; ++i) {
    const VecF32 weight = hn::Set(F32(), rows[i].weight);
    const BFloat16* from = rows[i].row + column;
    accumulate(load(from), weight, sums.even0, sums.odd0);
    accumulate(load(from + lanes), weight, sums.even1, sums.odd1);
  }
  return sums;
}

// Two vectors a row before going on to the next row; hidden is a multiple of 128, so of any two vectors.
void reduce_rows(const WeightedRow* rows, std::size_t count, int hidden, BFloat16* out) {
  const std::size_t lanes = hn::Lanes(U16());
  for (std::size_t column = 0; column < static_cast<std::size_t>(hidden); column += 2 * lanes) {
    const TwoSums sums = sum_at(rows, count, column);
    store(sums.even0, sums.odd0, out + column);
    store(sums.even1, sums.odd1, out + column + lanes);
  }
}

/// Asks for one cache line of every row, into the second-level cache: eight rows of 4 KB do not fit the
/// first.
HWY_INLINE void prefetch_rows(const WeightedRow* rows, std::size_t count, std::size_t column) {
  for (std::size_t i = 0; i < count; ++i) __builtin_prefetch(rows[i].row + column, 0, 2);
}

void reduce_rows_streaming(const WeightedRow* rows, std::size_t count, const WeightedRow* next,
                           std::size_t next_count, int hidden, BFloat16* out) {
  constexpr std::size_t line = 64 / sizeof(BFloat16);
  const std::size_t lanes = hn::Lanes(U16());
  const auto columns = static_cast<std::size_t>(hidden);
  const std::size_t ahead = std::min<std::size_t>(columns, 4096 / sizeof(BFloat16));
  for (std::size_t column = 0; column < columns; column += 2 * lanes) {
    const std::size_t asked = column + ahead;
    for (std::size_t i = 0; i < 2 * lanes; i += line) {
      if (asked < columns) {
        prefetch_rows(rows, count, asked + i);
      } else {
        prefetch_rows(next, next_count, asked - columns + i);
      }
    }
    const TwoSums sums = sum_at(rows, count, column);
    stream(sums.even0, sums.odd0, out + column);
    stream(sums.even1, sums.odd1, out + column + lanes);
  }
}

void stream_copy(const std::byte* from, std::byte* to, std::size_t bytes) {
  const hn::CappedTag<std::uint8_t, 64> d;  // `bytes` is a multiple of 64
  const std::size_t lanes = hn::Lanes(d);
  const auto* source = reinterpret_cast<const std::uint8_t*>(from);
  auto* target = reinterpret_cast<std::uint8_t*>(to);
  for (std::size_t i = 0; i < bytes; i += lanes) hn::Stream(hn::LoadU(d, source + i), d, target + i);
}

void stream_copies(const std::byte* from, std::byte* const* to, std::size_t count, std::size_t offset,
                   std::size_t bytes) {
  for (std::size_t i = 0; i < count; ++i) stream_copy(from, to[i] + offset, bytes);
}

#endif  // HWY_SCALAR

const char* instruction_set() {
  return hwy::TargetName(HWY_TARGET);
}

}  // namespace HWY_NAMESPACE
}  // namespace epskew
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace epskew {

HWY_EXPORT(quantise_row);
HWY_EXPORT(reduce_rows);
HWY_EXPORT(reduce_rows_streaming);
HWY_EXPORT(stream_copy);
HWY_EXPORT(stream_copies);
HWY_EXPORT(instruction_set);

void quantise_row(const BFloat16* x, int hidden, bool power_of_two, std::uint8_t* codes, float* scales) {
  HWY_DYNAMIC_DISPATCH(quantise_row)(x, hidden, power_of_two, codes, scales);
}

void reduce_rows(std::span<const WeightedRow> rows, int hidden, BFloat16* out) {
  HWY_DYNAMIC_DISPATCH(reduce_rows)(rows.data(), rows.size(), hidden, out);
}

void reduce_rows_streaming(std::span<const WeightedRow> rows, std::span<const WeightedRow> next, int hidden,
                           BFloat16* out) {
  HWY_DYNAMIC_DISPATCH(reduce_rows_streaming)
  (rows.data(), rows.size(), next.data(), next.size(), hidden, out);
}

void stream_copy(const std::byte* from, std::byte* to, std::size_t bytes) {
  HWY_DYNAMIC_DISPATCH(stream_copy)(from, to, bytes);
}

void stream_copies(const std::byte* from, std::span<std::byte* const> to, std::size_t offset,
                   std::size_t bytes) {
  HWY_DYNAMIC_DISPATCH(stream_copies)(from, to.data(), to.size(), offset, bytes);
}

void finish_streaming() {
  hwy::FlushStream();
}

const char* instruction_set() {
  return HWY_DYNAMIC_DISPATCH(instruction_set)();
}

}  // namespace epskew
#endif  // HWY_ONCE
