#include "backends/cpu/arena.hpp"

namespace epskew::cpu {
namespace {

constexpr std::size_t page = 4096;

/// Appends a buffer of `bytes` to a layout that is `end` bytes long.
std::size_t append(std::size_t& end, std::size_t bytes) {
  const std::size_t begin = end;
  end = (begin + bytes + page - 1) / page * page;
  return begin;
}

}  // namespace

std::size_t scale_bytes(DispatchFormat format) {
  if (format == DispatchFormat::bf16) return 0;
  return format == DispatchFormat::fp8_ue8m0 ? 1 : sizeof(float);
}

ArenaLayout make_arena_layout(const ExchangeShape& shape, const ExchangeOptions& options) {
  const auto rows = static_cast<std::size_t>(shape.max_rows());
  const auto hidden = static_cast<std::size_t>(shape.hidden);
  const auto groups = static_cast<std::size_t>(shape.num_scales());
  ArenaLayout layout;
  std::size_t end = 0;
  layout.rows = append(end, rows * row_bytes(options.dispatch, shape.hidden));
  layout.scales = append(end, rows * groups * scale_bytes(options.dispatch));
  layout.source_token = append(end, rows * sizeof(std::int32_t));
  layout.expert_output = append(end, rows * hidden * sizeof(BFloat16));
  layout.combined = append(end, static_cast<std::size_t>(shape.max_tokens) * hidden * sizeof(BFloat16));
  layout.batch_bytes = end;
  layout.total_bytes =
      end * static_cast<std::size_t>(options.micro_batches) + page;  // never empty, even for M = 0
  return layout;
}

}  // namespace epskew::cpu
