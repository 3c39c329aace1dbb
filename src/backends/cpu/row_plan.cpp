#include "backends/cpu/row_plan.hpp"

#include <algorithm>

namespace epskew::cpu {

void count_tokens(std::span<const std::int32_t> topk_idx, std::span<std::uint32_t> out) {
  std::fill(out.begin(), out.end(), 0u);
  for (const std::int32_t expert : topk_idx) {
    if (expert >= 0) ++out[static_cast<std::size_t>(expert)];
  }
}

RowPlan::RowPlan(int rank, const ExchangeShape& shape)
    : rank_(rank),
      num_ranks_(shape.num_ranks),
      num_experts_(shape.num_experts),
      experts_per_rank_(shape.experts_per_rank()),
      total_(static_cast<std::size_t>(num_experts_)),
      before_(total_.size()),
      next_row_(total_.size()),
      expert_begin_(static_cast<std::size_t>(experts_per_rank_) + 1),
      source_range_(static_cast<std::size_t>(experts_per_rank_) * static_cast<std::size_t>(num_ranks_)),
      rows_from_(static_cast<std::size_t>(num_ranks_)) {}

void RowPlan::begin() {
  std::fill(total_.begin(), total_.end(), 0u);
  std::fill(before_.begin(), before_.end(), 0u);
  std::fill(rows_from_.begin(), rows_from_.end(), 0);
}

void RowPlan::add_source(int source, std::span<const std::uint32_t> counts) {
  for (std::size_t expert = 0; expert < total_.size(); ++expert) total_[expert] += counts[expert];
  if (source < rank_) {
    for (std::size_t expert = 0; expert < before_.size(); ++expert) before_[expert] += counts[expert];
  }
  const auto first = static_cast<std::size_t>(rank_ * experts_per_rank_);
  for (std::size_t local = 0; local < static_cast<std::size_t>(experts_per_rank_); ++local) {
    const std::uint32_t count = counts[first + local];
    source_range_[local * static_cast<std::size_t>(num_ranks_) + static_cast<std::size_t>(source)].count =
        static_cast<std::int32_t>(count);
    rows_from_[static_cast<std::size_t>(source)] += count;
  }
}

void RowPlan::finish(std::span<const std::int32_t> topk_idx) {
  std::uint32_t row = 0;
  for (int expert = 0; expert < num_experts_; ++expert) {
    if (expert % experts_per_rank_ == 0) row = 0;
    const auto e = static_cast<std::size_t>(expert);
    next_row_[e] = row + before_[e];
    row += total_[e];
  }
  std::int32_t begin = 0;
  for (int local = 0; local < experts_per_rank_; ++local) {
    expert_begin_[static_cast<std::size_t>(local)] = begin;
    for (int source = 0; source < num_ranks_; ++source) {
      RowRange& range = source_range_[static_cast<std::size_t>(local * num_ranks_ + source)];
      range.begin = begin;
      begin += range.count;
    }
  }
  expert_begin_.back() = begin;
  row_of_selection_.resize(topk_idx.size());
  for (std::size_t i = 0; i < topk_idx.size(); ++i) {
    const std::int32_t expert = topk_idx[i];
    row_of_selection_[i] =
        expert < 0 ? -1 : static_cast<std::int32_t>(next_row_[static_cast<std::size_t>(expert)]++);
  }
}

}  // namespace epskew::cpu
