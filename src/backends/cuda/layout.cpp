#include "backends/cuda/layout.hpp"

#include "epskew/exchange/exchange.hpp"

namespace epskew::cuda {
namespace {

/// Hands out offsets one after the other, each on a 128-byte line.
class Carver {
 public:
  std::uint64_t take(std::uint64_t bytes) {
    const std::uint64_t offset = next_;
    next_ += (bytes + flag_stride - 1) / flag_stride * flag_stride;
    return offset;
  }
  std::uint64_t next() const { return next_; }

 private:
  std::uint64_t next_ = 0;
};

}  // namespace

std::uint64_t encoded_row_bytes(int hidden) {
  const auto channels = static_cast<std::uint64_t>(hidden);
  return (2 * channels + channels / scale_group * 4 + 15) / 16 * 16;
}

std::uint64_t scale_row_bytes(DispatchFormat format, int hidden) {
  const auto groups = static_cast<std::uint64_t>(hidden / scale_group);
  if (!is_fp8(format)) return 0;
  return format == DispatchFormat::fp8_ue8m0 ? groups : 4 * groups;
}

ArenaLayout::ArenaLayout(const ExchangeShape& shape, const ExchangeOptions& options)
    : micro_batches_(options.micro_batches) {
  const auto ranks = static_cast<std::uint64_t>(shape.num_ranks);
  const auto experts = static_cast<std::uint64_t>(shape.num_experts);
  const auto local_experts = static_cast<std::uint64_t>(shape.experts_per_rank());
  const auto tokens = static_cast<std::uint64_t>(shape.max_tokens);
  const auto selections = tokens * static_cast<std::uint64_t>(shape.topk);
  const auto max_rows = static_cast<std::uint64_t>(shape.max_rows());
  const auto token_bytes = 2 * static_cast<std::uint64_t>(shape.hidden);
  Carver set;
  first_.count_cells = set.take(8 * ranks * experts);
  first_.dispatch_flags = set.take(flag_stride * ranks);
  first_.combine_flags = set.take(flag_stride * ranks);
  first_.source_tokens = set.take(4 * max_rows);
  first_.scales = set.take(max_rows * scale_row_bytes(options.dispatch, shape.hidden));
  first_.rows = set.take(max_rows * row_bytes(options.dispatch, shape.hidden));
  first_.sent_rows = set.take(4 * selections);
  first_.numbers = set.take(4 * selections);
  first_.source_ranges = set.take(sizeof(RowRange) * local_experts * ranks);
  first_.expert_begin = set.take(4 * (local_experts + 1));
  first_.expert_out = set.take(max_rows * token_bytes);
  const bool encodes = options.combine == CombineFormat::logfmt10;
  first_.encoded = set.take(encodes ? max_rows * encoded_row_bytes(shape.hidden) : 0);
  set_stride_ = set.next();

  const std::uint64_t batches_begin = set_stride_ * static_cast<std::uint64_t>(num_sets());
  Carver batch;
  first_.x = batches_begin + batch.take(tokens * token_bytes);
  first_.topk = batches_begin + batch.take(4 * selections);
  first_.weights = batches_begin + batch.take(4 * selections);
  first_.combined = batches_begin + batch.take(tokens * token_bytes);
  batch_stride_ = batch.next();
  bytes_ = batches_begin + batch_stride_ * static_cast<std::uint64_t>(micro_batches_);
  bytes_ = (bytes_ + 4095) / 4096 * 4096;
}

ArenaOffsets ArenaLayout::at(int set, int batch) const {
  ArenaOffsets offsets = first_;
  const std::uint64_t of_set = set_stride_ * static_cast<std::uint64_t>(set);
  for (std::uint64_t* offset :
       {&offsets.count_cells, &offsets.dispatch_flags, &offsets.combine_flags, &offsets.source_tokens,
        &offsets.scales, &offsets.rows, &offsets.sent_rows, &offsets.numbers, &offsets.source_ranges,
        &offsets.expert_begin, &offsets.expert_out, &offsets.encoded}) {
    *offset += of_set;
  }
  const std::uint64_t of_batch = batch_stride_ * static_cast<std::uint64_t>(batch);
  for (std::uint64_t* offset : {&offsets.x, &offsets.topk, &offsets.weights, &offsets.combined})
    *offset += of_batch;
  return offsets;
}

}  // namespace epskew::cuda
