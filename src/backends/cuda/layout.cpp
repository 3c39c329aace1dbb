#include "backends/cuda/layout.hpp"

#include <algorithm>

#include "backends/cuda/launch.hpp"
#include "epskew/exchange/exchange.hpp"

namespace epskew::cuda {

std::uint64_t encoded_row_bytes(int hidden) {
  const auto channels = static_cast<std::uint64_t>(hidden);
  return (2 * channels + channels / scale_group * 4 + 15) / 16 * 16;
}

std::uint64_t scale_row_bytes(DispatchFormat format, int hidden) {
  const auto groups = static_cast<std::uint64_t>(hidden / scale_group);
  if (!is_fp8(format)) return 0;
  return format == DispatchFormat::fp8_ue8m0 ? groups : 4 * groups;
}

std::uint64_t ArenaLayout::Region::take(std::uint64_t bytes) {
  const std::uint64_t offset = next;
  next += (bytes + line_bytes - 1) / line_bytes * line_bytes;
  return offset;
}

void ArenaLayout::place(Region& region, Member member, std::uint64_t bytes) {
  first_.*member = region.take(bytes);
  region.members.push_back(member);
}

/// Received rows and what says where they are from: in a buffer set where peers write them, else a tensor.
void ArenaLayout::carve_rows(Region& region, const ExchangeShape& shape, const ExchangeOptions& options) {
  const auto max_rows = static_cast<std::uint64_t>(shape.max_rows());
  const bool pushes = algorithms_.combine == CombineAlgorithm::push;
  place(region, &ArenaOffsets::source_tokens, 4 * max_rows);
  place(region, &ArenaOffsets::return_addresses, pushes ? 4 * max_rows : 0);
  place(region, &ArenaOffsets::scales, max_rows * scale_row_bytes(options.dispatch, shape.hidden));
  place(region, &ArenaOffsets::rows, max_rows * row_bytes(options.dispatch, shape.hidden));
}

void ArenaLayout::carve_messages(const ExchangeShape& shape, const ExchangeOptions& options) {
  const auto tokens = static_cast<std::uint64_t>(shape.max_tokens);
  const std::uint64_t messages = static_cast<std::uint64_t>(shape.num_ranks) * tokens;
  const auto topk = static_cast<std::uint64_t>(shape.topk);
  const std::uint64_t headers = algorithms_.headers() ? 1 : 0;
  const std::uint64_t copies = algorithms_.dispatch == DispatchAlgorithm::dedup ? messages : 0;
  place(set_, &ArenaOffsets::headers,
        headers * messages * 4 * static_cast<std::uint64_t>(header_words(shape.topk)));
  place(set_, &ArenaOffsets::message_scales, copies * scale_row_bytes(options.dispatch, shape.hidden));
  place(set_, &ArenaOffsets::message_rows, copies * row_bytes(options.dispatch, shape.hidden));
  place(set_, &ArenaOffsets::message_numbers, headers * 4 * tokens * topk);
  place(set_, &ArenaOffsets::contributions, headers * 4 * tokens);
  const auto ranks = static_cast<std::uint64_t>(shape.num_ranks);
  const std::uint64_t returned = algorithms_.combine == CombineAlgorithm::pull   ? 0
                                 : algorithms_.combine == CombineAlgorithm::push ? topk
                                                                                 : std::min(topk, ranks);
  place(set_, &ArenaOffsets::returned, tokens * returned * 2 * static_cast<std::uint64_t>(shape.hidden));
}

void ArenaLayout::carve_set(const ExchangeShape& shape, const ExchangeOptions& options) {
  const auto ranks = static_cast<std::uint64_t>(shape.num_ranks);
  const auto local_experts = static_cast<std::uint64_t>(shape.experts_per_rank());
  const std::uint64_t selections =
      static_cast<std::uint64_t>(shape.max_tokens) * static_cast<std::uint64_t>(shape.topk);
  const auto max_rows = static_cast<std::uint64_t>(shape.max_rows());
  place(set_, &ArenaOffsets::count_cells, 8 * ranks * static_cast<std::uint64_t>(shape.num_experts));
  place(set_, &ArenaOffsets::message_cells, algorithms_.headers() ? 8 * ranks : 0);
  place(set_, &ArenaOffsets::dispatch_flags, 8 * ranks);
  place(set_, &ArenaOffsets::combine_flags, 8 * ranks);
  flag_bytes_ = set_.next;
  place(set_, &ArenaOffsets::sent_rows, 4 * selections);
  place(set_, &ArenaOffsets::numbers, 4 * selections);
  place(set_, &ArenaOffsets::source_ranges, sizeof(RowRange) * local_experts * ranks);
  place(set_, &ArenaOffsets::expert_begin, 4 * (local_experts + 1));
  carve_rows(algorithms_.dispatch == DispatchAlgorithm::direct ? set_ : tensors_, shape, options);
  place(algorithms_.combine == CombineAlgorithm::pull ? set_ : tensors_, &ArenaOffsets::expert_out,
        max_rows * 2 * static_cast<std::uint64_t>(shape.hidden));
  const bool encodes = options.combine == CombineFormat::logfmt10;
  place(set_, &ArenaOffsets::encoded, encodes ? max_rows * encoded_row_bytes(shape.hidden) : 0);
  carve_messages(shape, options);
}

void ArenaLayout::carve_batch(const ExchangeShape& shape) {
  const auto tokens = static_cast<std::uint64_t>(shape.max_tokens);
  const std::uint64_t token_bytes = 2 * static_cast<std::uint64_t>(shape.hidden);
  const std::uint64_t selections = tokens * static_cast<std::uint64_t>(shape.topk);
  place(batch_, &ArenaOffsets::x, tokens * token_bytes);
  place(batch_, &ArenaOffsets::topk, 4 * selections);
  place(batch_, &ArenaOffsets::weights, 4 * selections);
  place(batch_, &ArenaOffsets::combined, tokens * token_bytes);
}

ArenaLayout::ArenaLayout(const ExchangeShape& shape, const ExchangeOptions& options, Algorithms algorithms)
    : micro_batches_(options.micro_batches), algorithms_(algorithms) {
  const auto round_up = [](std::uint64_t bytes) { return (bytes + 4095) / 4096 * 4096; };
  carve_set(shape, options);
  carve_batch(shape);
  const auto batches = static_cast<std::uint64_t>(micro_batches_);
  const std::uint64_t batches_begin = set_.next * static_cast<std::uint64_t>(num_sets());
  tensors_begin_ = round_up(batches_begin + batch_.next * batches);
  bytes_ = round_up(tensors_begin_ + tensors_.next * batches);
  for (const Member member : batch_.members) first_.*member += batches_begin;
  for (const Member member : tensors_.members) first_.*member += tensors_begin_;
}

ArenaOffsets ArenaLayout::at(int set, int batch) const {
  ArenaOffsets offsets = first_;
  for (const Member member : set_.members) offsets.*member += set_.next * static_cast<std::uint64_t>(set);
  for (const Region* region : {&batch_, &tensors_}) {
    for (const Member member : region->members)
      offsets.*member += region->next * static_cast<std::uint64_t>(batch);
  }
  return offsets;
}

}  // namespace epskew::cuda
