#pragma once

/// Where every token goes, computed by each rank alone from the counts of all.
///
/// Rows at a receiver are ordered by local expert, then source rank, then token. So the row of a token
/// follows from the count matrix [source][expert], and no two ranks write the same row.

#include <cstdint>
#include <span>
#include <vector>

#include "epskew/exchange/exchange.hpp"

namespace epskew::cpu {

/// Tokens per expert of one rank: out [E].
void count_tokens(std::span<const std::int32_t> topk_idx, std::span<std::uint32_t> out);

class RowPlan {
 public:
  RowPlan(int rank, const ExchangeShape& shape);

  void begin();
  /// Adds the counts [E] of the next source; call once for every source, ascending.
  void add_source(int source, std::span<const std::uint32_t> counts);
  /// Computes everything below.
  void finish(std::span<const std::int32_t> topk_idx);

  /// Row at the expert's rank of every selection [T·K]; -1 where there is none.
  std::span<const std::int32_t> row_of_selection() const { return row_of_selection_; }
  std::span<const std::int32_t> expert_begin() const { return expert_begin_; }  ///< [L+1], of this rank
  std::span<const RowRange> source_range() const { return source_range_; }      ///< [L][R], of this rank
  std::int64_t rows_from(int source) const { return rows_from_[static_cast<std::size_t>(source)]; }

 private:
  int rank_;
  int num_ranks_;
  int num_experts_;
  int experts_per_rank_;
  std::vector<std::uint32_t> total_;     ///< [E] over all sources
  std::vector<std::uint32_t> before_;    ///< [E] over the sources before this rank
  std::vector<std::uint32_t> next_row_;  ///< [E] next row of this rank's tokens
  std::vector<std::int32_t> expert_begin_;
  std::vector<RowRange> source_range_;
  std::vector<std::int64_t> rows_from_;
  std::vector<std::int32_t> row_of_selection_;
};

}  // namespace epskew::cpu
