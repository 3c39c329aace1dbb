// LogFMT-10 rows in vectors: the same bits as encode_logfmt10 and decode_logfmt10, which define them.

#include <algorithm>
#include <array>
#include <cstring>

#include "epskew/exchange/logfmt.hpp"
#include "exchange/kernels.hpp"

// Highway compiles the rest of this file once per instruction set and picks one at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "exchange/logfmt_kernels.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace epskew {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_SCALAR

std::size_t encode_logfmt_row(const BFloat16* x, int hidden, std::byte* out) {
  return encode_logfmt10({x, static_cast<std::size_t>(hidden)}, out);
}

void decode_logfmt_row(const std::byte* coded, int hidden, BFloat16* x) {
  decode_logfmt10(coded, {x, static_cast<std::size_t>(hidden)});
}

#else

namespace hn = hwy::HWY_NAMESPACE;

// One vector of 16-bit values is worked on as two vectors of 32 bits, the lower and the upper half.
using U16 = hn::ScalableTag<std::uint16_t>;
using HalfU16 = hn::Half<U16>;
using U32 = hn::Repartition<std::uint32_t, U16>;
using I32 = hn::RebindToSigned<U32>;
using F32 = hn::RebindToFloat<U32>;
using QuarterU8 = hn::Rebind<std::uint8_t, U32>;
using VecU16 = hn::Vec<U16>;
using VecU32 = hn::Vec<U32>;
using VecF32 = hn::Vec<F32>;

constexpr std::uint32_t largest_zero = 0x007f;  // magnitudes up to it count as zero
constexpr std::size_t bit_bytes = scale_group / 8;
/// Highway reads and writes masks in pieces of up to eight bytes.
using BitBuffer = std::array<std::uint8_t, bit_bytes + 8>;

constexpr float integer_grid = 0x1.8p23f;  // as in the definition: rounds to the nearest integer

HWY_INLINE VecU16 load(const BFloat16* from) {
  return hn::LoadU(U16(), reinterpret_cast<const std::uint16_t*>(from));
}

struct Extremes {
  BFloat16 smallest;
  BFloat16 largest;
};

HWY_INLINE Extremes find_extremes(const BFloat16* x) {
  const VecU16 none = hn::Set(U16(), std::uint16_t{0x7fff});
  VecU16 smallest = none;
  VecU16 largest = hn::Zero(U16());
  for (std::size_t i = 0; i < scale_group; i += hn::Lanes(U16())) {
    const VecU16 magnitude = hn::And(load(x + i), none);
    const auto counts = hn::Gt(magnitude, hn::Set(U16(), std::uint16_t{largest_zero}));
    smallest = hn::Min(smallest, hn::IfThenElse(counts, magnitude, none));
    largest = hn::Max(largest, hn::IfThenElseZero(counts, magnitude));
  }
  // 16-bit reductions do not exist everywhere.
  alignas(64) std::array<std::uint16_t, HWY_MAX_BYTES / 2> low;
  alignas(64) std::array<std::uint16_t, HWY_MAX_BYTES / 2> high;
  hn::Store(smallest, U16(), low.data());
  hn::Store(largest, U16(), high.data());
  const auto lanes = static_cast<std::ptrdiff_t>(hn::Lanes(U16()));
  return {{*std::min_element(low.begin(), low.begin() + lanes)},
          {*std::max_element(high.begin(), high.begin() + lanes)}};
}

/// log2(1 + i/128) for indices below 128: lookups within registers where a vector holds 16, else a gather.
HWY_INLINE VecF32 lookup_mantissa(const float* table, VecU32 index) {
  const std::size_t lanes = hn::Lanes(F32());
  if (lanes < 16) return hn::GatherIndex(F32(), table, hn::BitCast(I32(), index));
  const VecU32 within = hn::And(index, hn::Set(U32(), static_cast<std::uint32_t>(lanes - 1)));
  const VecU32 part = hn::Sub(index, within);
  const auto lookup = hn::IndicesFromVec(F32(), within);
  VecF32 found = hn::TableLookupLanes(hn::LoadU(F32(), table), lookup);
  for (std::size_t first = lanes; first < 128; first += lanes) {
    const VecF32 here = hn::TableLookupLanes(hn::LoadU(F32(), table + first), lookup);
    const auto chosen = hn::Eq(part, hn::Set(U32(), static_cast<std::uint32_t>(first)));
    found = hn::IfThenElse(hn::RebindMask(F32(), chosen), here, found);
  }
  return found;
}

HWY_INLINE VecU32 lower_half(VecU16 v) {
  return hn::PromoteTo(U32(), hn::LowerHalf(HalfU16(), v));
}
HWY_INLINE VecU32 upper_half(VecU16 v) {
  return hn::PromoteTo(U32(), hn::UpperHalf(HalfU16(), v));
}
HWY_INLINE VecU16 join(VecU32 lower, VecU32 upper) {
  return hn::Combine(U16(), hn::TruncateTo(HalfU16(), upper), hn::TruncateTo(HalfU16(), lower));
}

/// Codes of one vector of magnitudes.
HWY_INLINE VecU32 make_codes(const float* table, const LogfmtGroup& group, VecU32 magnitude) {
  const auto exponent = hn::Sub(hn::BitCast(I32(), hn::ShiftRight<7>(magnitude)), hn::Set(I32(), 127));
  const VecF32 mantissa = lookup_mantissa(table, hn::And(magnitude, hn::Set(U32(), 0x7fu)));
  const VecF32 log2 = hn::Add(hn::ConvertTo(F32(), exponent), mantissa);
  const VecF32 scaled =
      hn::Mul(hn::Sub(log2, hn::Set(F32(), group.lmin)), hn::Set(F32(), group.inverse_step));
  const VecF32 position = hn::Add(scaled, hn::Set(F32(), group.rounding));
  const VecF32 bounded = hn::Min(hn::Max(position, hn::Zero(F32())), hn::Set(F32(), 511.0f));
  const VecU32 code = hn::BitCast(U32(), hn::ConvertTo(I32(), bounded));
  return hn::IfThenElseZero(hn::Gt(magnitude, hn::Set(U32(), largest_zero)), code);
}

HWY_INLINE void encode_group(const float* table, const BFloat16* x, const LogfmtGroup& group,
                             std::byte* out) {
  const std::size_t lanes = hn::Lanes(U32());
  auto* const low_bits = reinterpret_cast<std::uint8_t*>(out);
  BitBuffer ninth;
  BitBuffer signs;
  for (std::size_t i = 0; i < scale_group; i += 2 * lanes) {
    const VecU16 value = load(x + i);
    const VecU16 magnitude = hn::And(value, hn::Set(U16(), std::uint16_t{0x7fff}));
    const VecU32 lower = make_codes(table, group, lower_half(magnitude));
    const VecU32 upper = make_codes(table, group, upper_half(magnitude));
    hn::StoreU(hn::TruncateTo(QuarterU8(), lower), QuarterU8(), low_bits + i);
    hn::StoreU(hn::TruncateTo(QuarterU8(), upper), QuarterU8(), low_bits + i + lanes);
    const VecU16 code = join(lower, upper);
    hn::StoreMaskBits(U16(), hn::TestBit(code, hn::Set(U16(), std::uint16_t{0x100})), ninth.data() + i / 8);
    hn::StoreMaskBits(U16(), hn::TestBit(value, hn::Set(U16(), std::uint16_t{0x8000})), signs.data() + i / 8);
  }
  std::memcpy(out + scale_group, ninth.data(), bit_bytes);
  std::memcpy(out + scale_group + bit_bytes, signs.data(), bit_bytes);
}

std::size_t encode_logfmt_row(const BFloat16* x, int hidden, std::byte* out) {
  const float* const table = log2_mantissas().data();
  const auto columns = static_cast<std::size_t>(hidden);
  std::byte* next = out + columns / scale_group * sizeof(Extremes);
  for (std::size_t i = 0; i < columns; i += scale_group) {
    const Extremes extremes = find_extremes(x + i);
    std::memcpy(out + i / scale_group * sizeof extremes, &extremes, sizeof extremes);
    const LogfmtGroup group = logfmt10_group(extremes.smallest, extremes.largest);
    if (group.coded) {
      encode_group(table, x + i, group, next);
    } else {
      std::memcpy(next, x + i, scale_group * sizeof(BFloat16));
    }
    next += group.coded ? logfmt10_group_bytes : scale_group * sizeof(BFloat16);
  }
  return static_cast<std::size_t>(next - out);
}

HWY_INLINE VecF32 exp2_by_polynomial(VecF32 y) {
  const VecF32 grid = hn::Set(F32(), integer_grid);
  const VecF32 whole = hn::Sub(hn::Add(y, grid), grid);
  const VecF32 f = hn::Sub(y, whole);
  VecF32 sum = hn::Set(F32(), exp2_coefficients[4]);
  for (int i = 3; i >= 0; --i) sum = hn::Add(hn::Mul(sum, f), hn::Set(F32(), exp2_coefficients[i]));
  const auto shift = hn::ShiftLeft<23>(hn::ConvertTo(I32(), whole));
  return hn::BitCast(F32(), hn::Add(hn::BitCast(I32(), sum), shift));
}

/// bf16 bits of the magnitudes of one vector of codes.
HWY_INLINE VecU32 decode(const LogfmtGroup& group, VecU32 code) {
  const auto steps = hn::Sub(hn::BitCast(I32(), code), hn::Set(I32(), 1));
  const VecF32 scaled = hn::Mul(hn::ConvertTo(F32(), steps), hn::Set(F32(), group.step));
  const VecU32 bits = hn::BitCast(U32(), exp2_by_polynomial(hn::Add(scaled, hn::Set(F32(), group.lmin))));
  const VecU32 odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(U32(), 1u));
  const VecU32 rounded = hn::ShiftRight<16>(hn::Add(hn::Add(bits, hn::Set(U32(), 0x7fffu)), odd));
  return hn::IfThenElseZero(hn::Ne(code, hn::Zero(U32())), rounded);
}

HWY_INLINE void decode_group(const std::byte* coded, const LogfmtGroup& group, BFloat16* x) {
  const std::size_t lanes = hn::Lanes(U32());
  const auto* const low_bits = reinterpret_cast<const std::uint8_t*>(coded);
  BitBuffer ninth{};
  BitBuffer signs{};
  std::memcpy(ninth.data(), coded + scale_group, bit_bytes);
  std::memcpy(signs.data(), coded + scale_group + bit_bytes, bit_bytes);
  for (std::size_t i = 0; i < scale_group; i += 2 * lanes) {
    const auto ninth_set = hn::LoadMaskBits(U16(), ninth.data() + i / 8);
    const auto negative = hn::LoadMaskBits(U16(), signs.data() + i / 8);
    const VecU16 high = hn::IfThenElseZero(ninth_set, hn::Set(U16(), std::uint16_t{0x100}));
    const auto code_at = [&](std::size_t first, VecU32 ninth_bit) {
      return hn::Or(hn::PromoteTo(U32(), hn::LoadU(QuarterU8(), low_bits + first)), ninth_bit);
    };
    const VecU32 lower = decode(group, code_at(i, lower_half(high)));
    const VecU32 upper = decode(group, code_at(i + lanes, upper_half(high)));
    const VecU16 sign = hn::IfThenElseZero(negative, hn::Set(U16(), std::uint16_t{0x8000}));
    hn::StoreU(hn::Or(join(lower, upper), sign), U16(), reinterpret_cast<std::uint16_t*>(x + i));
  }
}

void decode_logfmt_row(const std::byte* coded, int hidden, BFloat16* x) {
  const auto columns = static_cast<std::size_t>(hidden);
  const std::byte* next = coded + columns / scale_group * sizeof(Extremes);
  for (std::size_t i = 0; i < columns; i += scale_group) {
    Extremes extremes;
    std::memcpy(&extremes, coded + i / scale_group * sizeof extremes, sizeof extremes);
    const LogfmtGroup group = logfmt10_group(extremes.smallest, extremes.largest);
    if (group.coded) {
      decode_group(next, group, x + i);
    } else {
      std::memcpy(x + i, next, scale_group * sizeof(BFloat16));
    }
    next += group.coded ? logfmt10_group_bytes : scale_group * sizeof(BFloat16);
  }
}

#endif  // HWY_SCALAR

}  // namespace HWY_NAMESPACE
}  // namespace epskew
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace epskew {

HWY_EXPORT(encode_logfmt_row);
HWY_EXPORT(decode_logfmt_row);

std::size_t encode_logfmt_row(const BFloat16* x, int hidden, std::byte* out) {
  return HWY_DYNAMIC_DISPATCH(encode_logfmt_row)(x, hidden, out);
}

void decode_logfmt_row(const std::byte* coded, int hidden, BFloat16* x) {
  HWY_DYNAMIC_DISPATCH(decode_logfmt_row)(coded, hidden, x);
}

}  // namespace epskew
#endif  // HWY_ONCE
