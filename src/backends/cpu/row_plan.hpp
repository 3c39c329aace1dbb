#pragma once

/// Where every token goes, computed by each rank alone from the counts of all.
///
/// Rows at a receiver are ordered by local expert, then source rank, then token; messages (one per token and
/// distinct destination rank) by source rank, then token. So both numbers follow from the counts, and no two
/// ranks write the same place.

#include <cstdint>
#include <span>
#include <vector>

#include "epskew/exchange/exchange.hpp"

namespace epskew::cpu {

/// Entries of one source's counts: tokens per expert [E], then messages per destination rank [R].
std::size_t num_counts(const ExchangeShape& shape);
void count_tokens(std::span<const std::int32_t> topk_idx, const ExchangeShape& shape,
                  std::span<std::uint32_t> out);

class RowPlan {
 public:
  RowPlan(int rank, const ExchangeShape& shape);

  void begin();
  /// Adds the counts of the next source; call once for every source that takes part, ascending.
  void add_source(int source, std::span<const std::uint32_t> counts);
  /// Computes everything below.
  void finish(std::span<const std::int32_t> topk_idx);
  /// Forgets the rows of a source whose data will not come; they stay as a gap.
  void drop_source(int source);

  /// Row at the expert's rank of every selection [T·K]; -1 where there is none.
  std::span<const std::int32_t> row_of_selection() const { return row_of_selection_; }
  std::span<const std::int32_t> expert_begin() const { return expert_begin_; }  ///< [L+1], of this rank
  std::span<const RowRange> source_range() const { return source_range_; }      ///< [L][R], of this rank
  std::int64_t num_rows() const { return expert_begin_.back(); }

  /// First message of this rank at `destination`.
  std::uint32_t first_message_at(int destination) const {
    return first_message_[static_cast<std::size_t>(destination)];
  }
  /// Messages of `source` in this rank's inbox.
  RowRange messages_from(int source) const { return messages_from_[static_cast<std::size_t>(source)]; }
  std::int64_t num_messages() const { return messages_from_.back().begin + messages_from_.back().count; }

 private:
  void number_rows(std::span<const std::int32_t> topk_idx);
  void number_received();

  int rank_;
  int num_ranks_;
  int num_experts_;
  int experts_per_rank_;
  std::vector<std::uint32_t> total_;     ///< [E] over all sources
  std::vector<std::uint32_t> before_;    ///< [E] over the sources before this rank
  std::vector<std::uint32_t> next_row_;  ///< [E] next row of this rank's tokens
  std::vector<std::int32_t> expert_begin_;
  std::vector<RowRange> source_range_;
  std::vector<std::uint32_t> first_message_;
  std::vector<RowRange> messages_from_;
  std::vector<std::int32_t> row_of_selection_;
};

}  // namespace epskew::cpu
