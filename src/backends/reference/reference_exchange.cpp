#include "backends/reference/reference_exchange.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "epskew/exchange/logfmt.hpp"
#include "epskew/exchange/number_formats.hpp"

namespace epskew {

ReferenceExchange::ReferenceExchange(const ExchangeShape& shape, const ExchangeOptions& options)
    : shape_(shape),
      options_(options),
      ranks_(static_cast<std::size_t>(shape.num_ranks)),
      sides_(static_cast<std::size_t>(shape.num_ranks) * static_cast<std::size_t>(options.micro_batches)),
      expert_rows_(static_cast<std::size_t>(shape.num_ranks),
                   std::vector<std::int64_t>(static_cast<std::size_t>(shape.experts_per_rank()))) {
  std::iota(ranks_.begin(), ranks_.end(), 0);
}

void ReferenceExchange::set_input(int local, int batch, const RankInput& input) {
  side(local, batch).input = input;
}

void ReferenceExchange::dispatch_send(int batch) {
  const auto hidden = static_cast<std::size_t>(shape_.hidden);
  const auto groups = static_cast<std::size_t>(shape_.num_scales());
  const bool power_of_two = options_.dispatch != DispatchFormat::fp8;
  for (const int rank : ranks_) {
    Side& from = side(rank, batch);
    const auto num_tokens = static_cast<std::size_t>(tokens(from));
    from.sent_rows.resize(num_tokens * row_bytes(options_.dispatch, shape_.hidden));
    from.sent_scales.resize(num_tokens * groups);
    if (!is_fp8(options_.dispatch)) {
      if (num_tokens > 0) std::memcpy(from.sent_rows.data(), from.input.x.data(), from.sent_rows.size());
      continue;
    }
    std::vector<std::uint8_t> codes(hidden);
    for (std::size_t token = 0; token < num_tokens; ++token) {
      quantise_fp8(from.input.x.subspan(token * hidden, hidden), power_of_two, codes,
                   std::span(from.sent_scales).subspan(token * groups, groups));
      std::memcpy(from.sent_rows.data() + token * hidden, codes.data(), hidden);
    }
  }
}

void ReferenceExchange::dispatch_recv(int batch) {
  for (const int rank : ranks_) receive(rank, batch);
}

void ReferenceExchange::receive(int rank, int batch) {
  Side& to = side(rank, batch);
  to.rows.clear();
  to.scales.clear();
  to.scale_bytes.clear();
  to.source_range.clear();
  to.source_token.clear();
  to.expert_begin.assign(1, 0);
  const int experts = shape_.experts_per_rank();
  for (int expert = rank * experts; expert < (rank + 1) * experts; ++expert) {
    for (const int source : ranks_) {
      const Side& from = side(source, batch);
      RowRange range{static_cast<std::int32_t>(to.source_token.size()), 0};
      for (int token = 0; token < tokens(from); ++token) {
        const auto selected = from.input.topk_idx.subspan(static_cast<std::size_t>(token * shape_.topk),
                                                          static_cast<std::size_t>(shape_.topk));
        if (std::find(selected.begin(), selected.end(), expert) == selected.end()) continue;
        append_row(to, from, token);
        ++range.count;
      }
      to.source_range.push_back(range);
    }
    to.expert_begin.push_back(static_cast<std::int32_t>(to.source_token.size()));
  }
  to.expert_output.resize(to.source_token.size() * static_cast<std::size_t>(shape_.hidden));
  auto& statistics = expert_rows_[static_cast<std::size_t>(rank)];
  for (std::size_t expert = 0; expert < statistics.size(); ++expert) {
    statistics[expert] += to.expert_begin[expert + 1] - to.expert_begin[expert];
  }
}

void ReferenceExchange::append_row(Side& to, const Side& from, int token) const {
  const auto bytes = static_cast<std::ptrdiff_t>(row_bytes(options_.dispatch, shape_.hidden));
  const auto row = from.sent_rows.begin() + token * bytes;
  to.rows.insert(to.rows.end(), row, row + bytes);
  to.source_token.push_back(token);
  if (!is_fp8(options_.dispatch)) return;
  const auto scales = from.sent_scales.begin() + token * shape_.num_scales();
  for (int group = 0; group < shape_.num_scales(); ++group) {
    if (options_.dispatch == DispatchFormat::fp8_ue8m0) {
      to.scale_bytes.push_back(to_ue8m0(scales[group]));
    } else {
      to.scales.push_back(scales[group]);
    }
  }
}

void ReferenceExchange::combine_send(int batch) {
  const auto hidden = static_cast<std::size_t>(shape_.hidden);
  for (const int rank : ranks_) {
    Side& host = side(rank, batch);
    host.returned = host.expert_output;
    if (options_.combine == CombineFormat::bf16) continue;
    std::vector<std::byte> coded(logfmt10_row_bytes(shape_.hidden));
    for (std::size_t first = 0; first < host.returned.size(); first += hidden) {
      const auto row = std::span(host.returned).subspan(first, hidden);
      encode_logfmt10(row, coded.data());
      decode_logfmt10(coded.data(), row);
    }
  }
}

void ReferenceExchange::combine_recv(int batch) {
  for (const int rank : ranks_) {
    Side& owner = side(rank, batch);
    owner.combined.resize(static_cast<std::size_t>(tokens(owner)) * static_cast<std::size_t>(shape_.hidden));
    for (int token = 0; token < tokens(owner); ++token) reduce_token(owner, rank, token, batch);
  }
}

void ReferenceExchange::reduce_token(Side& owner, int rank, int token, int batch) {
  const auto hidden = static_cast<std::size_t>(shape_.hidden);
  std::vector<float> sum(hidden, 0.0f);
  for (int k = 0; k < shape_.topk; ++k) {
    const auto selection = static_cast<std::size_t>(token * shape_.topk + k);
    const std::int32_t expert = owner.input.topk_idx[selection];
    if (expert < 0) continue;
    const Side& host = side(expert / shape_.experts_per_rank(), batch);
    const int local_expert = expert % shape_.experts_per_rank();
    const RowRange range =
        host.source_range[static_cast<std::size_t>(local_expert * shape_.num_ranks + rank)];
    const auto first = host.source_token.begin() + range.begin;
    const auto row = std::find(first, first + range.count, token) - host.source_token.begin();
    const BFloat16* result = host.returned.data() + static_cast<std::size_t>(row) * hidden;
    const float weight = owner.input.topk_weights[selection];
    for (std::size_t column = 0; column < hidden; ++column) sum[column] += weight * to_float(result[column]);
  }
  for (std::size_t column = 0; column < hidden; ++column) {
    owner.combined[static_cast<std::size_t>(token) * hidden + column] = to_bfloat16(sum[column]);
  }
}

DispatchOutput ReferenceExchange::dispatch_output(int local, int batch) {
  const Side& to = side(local, batch);
  return {options_.dispatch, to.rows,         to.scales,       to.scale_bytes,
          to.expert_begin,   to.source_range, to.source_token, {}};
}

std::span<BFloat16> ReferenceExchange::expert_output(int local, int batch) {
  return side(local, batch).expert_output;
}

std::span<const BFloat16> ReferenceExchange::combine_output(int local, int batch) {
  return side(local, batch).combined;
}

MemoryUse ReferenceExchange::memory(int local) const {
  MemoryUse use;
  for (int batch = 0; batch < options_.micro_batches; ++batch) {
    const Side& to = sides_[static_cast<std::size_t>(batch * shape_.num_ranks + local)];
    use.touched += static_cast<std::int64_t>(
        to.sent_rows.size() + to.rows.size() + (to.sent_scales.size() + to.scales.size()) * sizeof(float) +
        (to.expert_output.size() + to.returned.size() + to.combined.size()) * sizeof(BFloat16));
  }
  use.reserved = use.touched;  // grown on demand: nothing is set aside
  return use;
}

}  // namespace epskew
