#include "backends/mpi/received.hpp"

#include <cstring>

namespace epskew::mpi {

void Received::lay_out(std::span<const std::int32_t> counts, const WireRow& wire) {
  const int experts = shape_.experts_per_rank();
  expert_begin_.resize(static_cast<std::size_t>(experts) + 1);
  source_range_.resize(static_cast<std::size_t>(experts) * static_cast<std::size_t>(shape_.num_ranks));
  next_row_.resize(source_range_.size());
  std::int32_t row = 0;
  for (int expert = 0; expert < experts; ++expert) {
    expert_begin_[static_cast<std::size_t>(expert)] = row;
    for (int source = 0; source < shape_.num_ranks; ++source) {
      const std::int32_t count = counts[static_cast<std::size_t>(source) * static_cast<std::size_t>(experts) +
                                        static_cast<std::size_t>(expert)];
      source_range_[cell(expert, source)] = {row, count};
      next_row_[cell(expert, source)] = row;
      row += count;
    }
  }
  expert_begin_.back() = row;
  grow(rows_, num_rows() * wire.row_size);
  grow(source_token_, num_rows());
  grow(expert_output_, num_values());
  const std::size_t scales = num_rows() * static_cast<std::size_t>(shape_.num_scales());
  if (scale_size(wire.format) == sizeof(float)) grow(scales_, scales);
  if (scale_size(wire.format) == 1) grow(scale_bytes_, scales);
}

std::int32_t Received::next_row(int local_expert, int source) {
  return next_row_[cell(local_expert, source)]++;
}

void Received::store(std::int32_t row, const std::byte* payload, std::int32_t token, const WireRow& wire) {
  const auto r = static_cast<std::size_t>(row);
  const auto groups = static_cast<std::size_t>(shape_.num_scales());
  std::memcpy(rows_.data() + r * wire.row_size, payload, wire.row_size);
  source_token_[r] = token;
  const std::byte* scales = payload + wire.row_size;
  if (scale_size(wire.format) == sizeof(float))
    std::memcpy(scales_.data() + r * groups, scales, wire.scales_size);
  if (scale_size(wire.format) == 1) std::memcpy(scale_bytes_.data() + r * groups, scales, wire.scales_size);
}

DispatchOutput Received::output(DispatchFormat format) const {
  const std::size_t groups = static_cast<std::size_t>(shape_.num_scales());
  const std::size_t scales = num_rows() * groups;
  DispatchOutput output;
  output.format = format;
  output.rows = std::span(rows_).first(num_rows() * row_bytes(format, shape_.hidden));
  if (scale_size(format) == sizeof(float)) output.scales = std::span(scales_).first(scales);
  if (scale_size(format) == 1) output.scale_bytes = std::span(scale_bytes_).first(scales);
  output.expert_begin = expert_begin_;
  output.source_range = source_range_;
  output.source_token = std::span(source_token_).first(num_rows());
  return output;
}

std::int64_t Received::bytes() const {
  return static_cast<std::int64_t>(rows_.size() + scales_.size() * sizeof(float) + scale_bytes_.size() +
                                   source_token_.size() * sizeof(std::int32_t) +
                                   expert_output_.size() * sizeof(BFloat16));
}

}  // namespace epskew::mpi
