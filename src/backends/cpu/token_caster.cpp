#include "backends/cpu/token_caster.hpp"

#include <algorithm>
#include <cstring>

#include "backends/cpu/kernels.hpp"
#include "epskew/exchange/number_formats.hpp"

namespace epskew::cpu {

TokenCaster::TokenCaster(const ExchangeShape& shape, DispatchFormat format)
    : format_(format),
      codes_(is_fp8(format) ? static_cast<std::size_t>(shape.hidden) : 0),
      scales_(is_fp8(format) ? static_cast<std::size_t>(shape.num_scales()) : 0),
      scale_bytes_(format == DispatchFormat::fp8_ue8m0 ? scales_.size() : 0),
      payload_bytes_(row_bytes(format, shape.hidden)) {}

void TokenCaster::cast(const Operation& operation, int token) {
  const BFloat16* x = operation.input.x.data() + static_cast<std::size_t>(token) * operation.hidden();
  if (!is_fp8(format_)) {
    payload_ = reinterpret_cast<const std::byte*>(x);
    return;
  }
  quantise_row(x, operation.shape.hidden, format_ != DispatchFormat::fp8,
               reinterpret_cast<std::uint8_t*>(codes_.data()), scales_.data());
  payload_ = codes_.data();
  if (format_ == DispatchFormat::fp8_ue8m0) {
    std::transform(scales_.begin(), scales_.end(), scale_bytes_.begin(), to_ue8m0);
  }
}

void TokenCaster::write(std::byte* payload, std::byte* scales) const {
  stream_copy(payload_, payload, payload_bytes_);
  if (format_ == DispatchFormat::fp8_ue8m0) {
    std::memcpy(scales, scale_bytes_.data(), scale_bytes_.size());
  } else if (is_fp8(format_)) {
    std::memcpy(scales, scales_.data(), scales_.size() * sizeof(float));
  }
}

}  // namespace epskew::cpu
