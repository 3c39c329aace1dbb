#include "backends/cpu/dispatch_algorithm.hpp"

#include "backends/cpu/dispatch_dedup.hpp"
#include "backends/cpu/dispatch_direct.hpp"

namespace epskew::cpu {

std::unique_ptr<DispatchAlgorithm> make_dispatch(const ExchangeShape& shape, const ExchangeOptions& options,
                                                 const Variants& variants) {
  if (variants.dispatch == DispatchVariant::direct) return std::make_unique<DirectDispatch>(shape, options);
  return std::make_unique<DedupDispatch>(shape, options);
}

void describe_payload(const Operation& operation, const std::byte* rows, const std::byte* scales,
                      std::size_t count, DispatchOutput& output) {
  const auto groups = static_cast<std::size_t>(operation.shape.num_scales());
  output.rows = {rows, count * operation.payload_bytes()};
  if (operation.options.dispatch == DispatchFormat::fp8_ue8m0) {
    output.scale_bytes = {reinterpret_cast<const std::uint8_t*>(scales), count * groups};
  } else if (is_fp8(operation.options.dispatch)) {
    output.scales = {reinterpret_cast<const float*>(scales), count * groups};
  }
}

}  // namespace epskew::cpu
