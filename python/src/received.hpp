#pragma once

/// A library's arrays as the oracle's DispatchOutput.

#include <optional>
#include <string>
#include <vector>

#include "binding.hpp"
#include "epskew/exchange/oracle.hpp"

namespace epskew::python {

/// The arrays as given; converted and checked for what is the caller's mistake. Wrong numbers of a library
/// are not: they are for the oracle to find.
class Received {
 public:
  struct Given {
    nb::object rows, counts, source_begin, source_count, source_token, scales, storage_row;
  };
  /// Throws UsageError for arrays whose types or shapes do not fit together.
  explicit Received(const Given& given);

  /// For an oracle that expects `format` of `hidden` columns. Throws UsageError for another number of
  /// columns.
  DispatchOutput output(DispatchFormat format, int hidden) const;
  /// Numbers so wrong that no output can be made of them.
  std::optional<Mismatch> impossible(int rank, int experts_per_rank) const;

  /// Every row is there, and its scales where it is FP8.
  bool is_whole() const;

  /// Rows of an expert in the arrays: S for slots, else 0.
  std::size_t slots() const { return slots_; }
  std::size_t experts() const { return counts_.size(); }
  std::size_t columns() const { return columns_; }
  /// Rows that all experts together have, by `counts`.
  std::int64_t num_rows() const { return expert_begin_.back(); }

 private:
  void read_rows(nb::handle rows);
  void read_scales(nb::handle scales);
  void read_counts(nb::handle counts);
  void read_ranges(nb::handle begin, nb::handle count);
  void read_tokens(nb::handle tokens);
  void read_storage(nb::handle storage_row);
  std::size_t stored_rows() const;

  nb::object rows_owner_, scales_owner_;
  const std::byte* rows_ = nullptr;
  const void* scales_ = nullptr;
  std::size_t num_stored_ = 0;  ///< rows in the array: L·S, n or m
  std::size_t columns_ = 0;
  std::size_t slots_ = 0;
  std::size_t item_bytes_ = 1;
  std::size_t scale_bytes_ = 0;  ///< of one scale: 4, 1, or 0 for none
  std::vector<std::int64_t> counts_;
  std::vector<std::int32_t> expert_begin_;  ///< [L+1]
  std::vector<RowRange> source_range_;      ///< [L][R]
  std::vector<std::int32_t> source_token_;  ///< [num_rows]
  std::vector<std::int32_t> storage_row_;   ///< [num_rows], or empty
  std::optional<std::string> impossible_;
  int impossible_expert_ = -1;
};

}  // namespace epskew::python
