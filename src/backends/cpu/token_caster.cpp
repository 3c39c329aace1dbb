#include "backends/cpu/token_caster.hpp"

#include <algorithm>
#include <cstring>

#include "epskew/exchange/number_formats.hpp"
#include "exchange/kernels.hpp"

namespace epskew::cpu {
namespace {

/// A token is cast and written in blocks of so many columns: while the stores of one block drain to memory
/// the core casts the next. Eight copies of 512 codes are about what its store queue holds.
constexpr std::size_t block = 512;

constexpr std::size_t cache_line = 64;

/// Asks for the values that the next token's cast will read: the stores leave the read side idle.
void prefetch(const BFloat16* x, std::size_t columns) {
  const auto* bytes = reinterpret_cast<const std::byte*>(x);
  for (std::size_t i = 0; i < columns * sizeof(BFloat16); i += cache_line) __builtin_prefetch(bytes + i);
}

}  // namespace

TokenCaster::TokenCaster(const ExchangeShape& shape, DispatchFormat format)
    : format_(format),
      codes_(is_fp8(format) ? block : 0),
      scales_(is_fp8(format) ? static_cast<std::size_t>(shape.num_scales()) : 0),
      scale_bytes_(format == DispatchFormat::fp8_ue8m0 ? scales_.size() : 0) {}

void TokenCaster::add_place(std::byte* payload, std::byte* scales) {
  payloads_.push_back(payload);
  scale_rows_.push_back(scales);
  if (!is_fp8(format_)) return;
  const std::size_t bytes = scales_.size() * scale_bytes(format_);
  for (std::size_t i = 0; i < bytes; i += cache_line) __builtin_prefetch(scales + i, 1);
}

void TokenCaster::send(const Operation& operation, int token) {
  const std::size_t hidden = operation.hidden();
  const std::size_t column_bytes = is_fp8(format_) ? 1 : sizeof(BFloat16);
  const BFloat16* const x = operation.input.x.data() + static_cast<std::size_t>(token) * hidden;
  const bool last = token + 1 == operation.num_tokens();
  for (std::size_t column = 0; column < hidden; column += block) {
    const std::size_t columns = std::min(block, hidden - column);
    const std::byte* const from = cast(x + column, column, columns);
    if (!last) prefetch(x + hidden + column, columns);
    stream_copies(from, payloads_, column * column_bytes, columns * column_bytes);
  }
  if (is_fp8(format_)) write_scales();
  payloads_.clear();
  scale_rows_.clear();
}

const std::byte* TokenCaster::cast(const BFloat16* x, std::size_t column, std::size_t columns) {
  if (!is_fp8(format_)) return reinterpret_cast<const std::byte*>(x);
  quantise_row(x, static_cast<int>(columns), format_ != DispatchFormat::fp8,
               reinterpret_cast<std::uint8_t*>(codes_.data()), scales_.data() + column / scale_group);
  return codes_.data();
}

void TokenCaster::write_scales() {
  const void* from = scales_.data();
  if (format_ == DispatchFormat::fp8_ue8m0) {
    std::transform(scales_.begin(), scales_.end(), scale_bytes_.begin(), to_ue8m0);
    from = scale_bytes_.data();
  }
  const std::size_t bytes = scales_.size() * scale_bytes(format_);
  for (std::byte* const row : scale_rows_) std::memcpy(row, from, bytes);
}

}  // namespace epskew::cpu
