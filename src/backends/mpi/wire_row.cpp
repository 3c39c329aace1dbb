#include "backends/mpi/wire_row.hpp"

#include <cstring>

#include "epskew/exchange/number_formats.hpp"
#include "exchange/kernels.hpp"

namespace epskew::mpi {

std::size_t scale_size(DispatchFormat format) {
  if (format == DispatchFormat::bf16) return 0;
  return format == DispatchFormat::fp8_ue8m0 ? 1 : sizeof(float);
}

WireRow::WireRow(const ExchangeShape& shape, DispatchFormat dispatch_format)
    : format(dispatch_format),
      hidden(shape.hidden),
      row_size(row_bytes(format, hidden)),
      scales_size(scale_size(format) * static_cast<std::size_t>(shape.num_scales())),
      stride((row_size + scales_size + 15) / 16 * 16),
      scales_(static_cast<std::size_t>(shape.num_scales())) {}

void WireRow::encode(const BFloat16* x, std::byte* out) {
  if (format == DispatchFormat::bf16) {
    std::memcpy(out, x, row_size);
    return;
  }
  quantise_row(x, hidden, format != DispatchFormat::fp8, reinterpret_cast<std::uint8_t*>(out),
               scales_.data());
  std::byte* scales = out + row_size;
  if (format != DispatchFormat::fp8_ue8m0) {
    std::memcpy(scales, scales_.data(), scales_size);
    return;
  }
  for (std::size_t group = 0; group < scales_.size(); ++group)
    scales[group] = std::byte{to_ue8m0(scales_[group])};
}

}  // namespace epskew::mpi
