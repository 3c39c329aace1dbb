#include "backends/cpu/arena.hpp"

#include "epskew/exchange/logfmt.hpp"

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

ArenaLayout make_arena_layout(const ExchangeShape& shape, const ExchangeOptions& options,
                              const Variants& variants) {
  const auto rows = static_cast<std::size_t>(shape.max_rows());
  const auto tokens = static_cast<std::size_t>(shape.max_tokens);
  const std::size_t result = static_cast<std::size_t>(shape.hidden) * sizeof(BFloat16);
  const std::size_t payload = row_bytes(options.dispatch, shape.hidden);
  const std::size_t scales = static_cast<std::size_t>(shape.num_scales()) * scale_bytes(options.dispatch);
  const bool rank_major = variants.dispatch == DispatchVariant::rank_major;
  const bool pull = variants.combine == CombineVariant::pull;
  const bool prereduce = variants.combine == CombineVariant::prereduce;
  const bool coded = options.combine == CombineFormat::logfmt10;
  const std::size_t messages =
      variants.dispatch == DispatchVariant::direct ? 0 : static_cast<std::size_t>(shape.num_ranks) * tokens;
  ArenaLayout layout;
  std::size_t end = 0;
  layout.rows = append(end, rank_major ? 0 : rows * payload);
  layout.scales = append(end, rank_major ? 0 : rows * scales);
  layout.source_token = append(end, rows * sizeof(std::int32_t));
  layout.source_slot = append(end, pull ? 0 : rows * sizeof(std::int32_t));
  layout.source_weight = append(end, prereduce ? rows * sizeof(float) : 0);
  layout.storage_row = append(end, rank_major ? rows * sizeof(std::int32_t) : 0);
  layout.inbox_headers = append(end, messages * sizeof(MessageHeader));
  layout.inbox_rows = append(end, messages * payload);
  layout.inbox_scales = append(end, messages * scales);
  layout.expert_output = append(end, rows * result);
  layout.coded_output = append(end, coded ? rows * logfmt10_row_bytes(shape.hidden) : 0);
  layout.returned = append(end, variants.combine == CombineVariant::push
                                    ? tokens * static_cast<std::size_t>(shape.topk) * result
                                    : 0);
  layout.partial = append(end, prereduce ? static_cast<std::size_t>(shape.num_ranks) * tokens * result : 0);
  layout.combined = append(end, tokens * result);
  layout.batch_bytes = end;
  layout.total_bytes =
      end * static_cast<std::size_t>(options.micro_batches) + page;  // never empty, even for M = 0
  return layout;
}

}  // namespace epskew::cpu
