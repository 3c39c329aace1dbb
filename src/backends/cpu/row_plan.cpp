#include "backends/cpu/row_plan.hpp"

#include <algorithm>

namespace epskew::cpu {

std::size_t num_counts(const ExchangeShape& shape) {
  return static_cast<std::size_t>(shape.num_experts) + static_cast<std::size_t>(shape.num_ranks);
}

void count_tokens(std::span<const std::int32_t> topk_idx, const ExchangeShape& shape,
                  std::span<std::uint32_t> out) {
  std::fill(out.begin(), out.end(), 0u);
  const auto topk = static_cast<std::size_t>(shape.topk);
  const auto messages = out.subspan(static_cast<std::size_t>(shape.num_experts));
  std::vector<std::size_t> last_token(messages.size(), topk_idx.size());
  for (std::size_t i = 0; i < topk_idx.size(); ++i) {
    if (topk_idx[i] < 0) continue;
    ++out[static_cast<std::size_t>(topk_idx[i])];
    const auto destination = static_cast<std::size_t>(topk_idx[i] / shape.experts_per_rank());
    if (last_token[destination] == i / topk) continue;
    last_token[destination] = i / topk;
    ++messages[destination];
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
      first_message_(static_cast<std::size_t>(num_ranks_)),
      messages_from_(static_cast<std::size_t>(num_ranks_)) {}

void RowPlan::begin() {
  std::fill(total_.begin(), total_.end(), 0u);
  std::fill(before_.begin(), before_.end(), 0u);
  std::fill(first_message_.begin(), first_message_.end(), 0u);
  std::fill(source_range_.begin(), source_range_.end(), RowRange{});
  std::fill(messages_from_.begin(), messages_from_.end(), RowRange{});
}

void RowPlan::add_source(int source, std::span<const std::uint32_t> counts) {
  for (std::size_t expert = 0; expert < total_.size(); ++expert) total_[expert] += counts[expert];
  const auto messages = counts.subspan(total_.size());
  if (source < rank_) {
    for (std::size_t expert = 0; expert < before_.size(); ++expert) before_[expert] += counts[expert];
    for (std::size_t rank = 0; rank < messages.size(); ++rank) first_message_[rank] += messages[rank];
  }
  const auto from = static_cast<std::size_t>(source);
  messages_from_[from].count = static_cast<std::int32_t>(messages[static_cast<std::size_t>(rank_)]);
  const auto first = static_cast<std::size_t>(rank_ * experts_per_rank_);
  for (std::size_t local = 0; local < static_cast<std::size_t>(experts_per_rank_); ++local) {
    source_range_[local * static_cast<std::size_t>(num_ranks_) + from].count =
        static_cast<std::int32_t>(counts[first + local]);
  }
}

void RowPlan::finish(std::span<const std::int32_t> topk_idx) {
  number_rows(topk_idx);
  number_received();
}

void RowPlan::number_rows(std::span<const std::int32_t> topk_idx) {
  std::uint32_t row = 0;
  for (std::size_t expert = 0; expert < total_.size(); ++expert) {
    if (static_cast<int>(expert) % experts_per_rank_ == 0) row = 0;
    next_row_[expert] = row + before_[expert];
    row += total_[expert];
  }
  row_of_selection_.resize(topk_idx.size());
  for (std::size_t i = 0; i < topk_idx.size(); ++i) {
    const std::int32_t expert = topk_idx[i];
    row_of_selection_[i] =
        expert < 0 ? -1 : static_cast<std::int32_t>(next_row_[static_cast<std::size_t>(expert)]++);
  }
}

void RowPlan::number_received() {
  std::int32_t row = 0;
  for (int local = 0; local < experts_per_rank_; ++local) {
    expert_begin_[static_cast<std::size_t>(local)] = row;
    for (int source = 0; source < num_ranks_; ++source) {
      RowRange& range = source_range_[static_cast<std::size_t>(local * num_ranks_ + source)];
      range.begin = row;
      row += range.count;
    }
  }
  expert_begin_.back() = row;
  std::int32_t message = 0;
  for (RowRange& range : messages_from_) {
    range.begin = message;
    message += range.count;
  }
}

void RowPlan::drop_source(int source) {
  for (int local = 0; local < experts_per_rank_; ++local) {
    source_range_[static_cast<std::size_t>(local * num_ranks_ + source)].count = 0;
  }
  messages_from_[static_cast<std::size_t>(source)].count = 0;
}

}  // namespace epskew::cpu
