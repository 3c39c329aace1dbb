#include "received.hpp"

#include <fmt/format.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <limits>

#include "epskew/support/error.hpp"

namespace epskew::python {
namespace {

constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();

/// Numbers of a library that no row could have become -1, which none has either.
std::int32_t row_number(std::int64_t value) {
  return value < 0 || value > most ? -1 : static_cast<std::int32_t>(value);
}

std::vector<std::size_t> shape_of(const nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>& array) {
  std::vector<std::size_t> shape;
  for (std::size_t axis = 0; axis < array.ndim(); ++axis) shape.push_back(array.shape(axis));
  return shape;
}

/// The array as it is, not copied. Anything of 1 or 2 bytes a number does for rows, since torch and ml_dtypes
/// have types of their own for bf16 and e4m3.
nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu> borrowed(nb::handle array, const char* what) {
  nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu> typed;
  if (!nb::try_cast(array, typed, false)) {
    throw UsageError(
        fmt::format("{} is no C-contiguous array in host memory (it is borrowed as it is); give "
                    "numpy.ascontiguousarray of it, FP8 viewed as uint8 and bf16 as uint16",
                    what));
  }
  return typed;
}

}  // namespace

Received::Received(const Given& given) {
  read_rows(given.rows);
  read_scales(given.scales);
  read_counts(given.counts);
  read_ranges(given.source_begin, given.source_count);
  if (given.storage_row.is_none() == false && slots_ > 0)
    throw UsageError(
        "storage_row is given for rows [L, S, H] (slots say where rows lie); drop it or give rows [m, H]");
  if (impossible_) return;
  read_storage(given.storage_row);
  read_tokens(given.source_token);
}

void Received::read_rows(nb::handle rows) {
  const auto array = borrowed(rows, "rows");
  item_bytes_ = array.itemsize();
  if (item_bytes_ != 1 && item_bytes_ != 2) {
    throw UsageError(
        fmt::format("rows have {} bytes a number (uint8 for FP8 and uint16 for bf16 are possible); view "
                    "them as one of these",
                    item_bytes_));
  }
  const std::vector<std::size_t> shape = shape_of(array);
  if (shape.size() != 2 && shape.size() != 3) {
    throw UsageError(
        fmt::format("rows have shape {} ([L, S, H] or [n, H] is needed); reshape them", shape_text(shape)));
  }
  slots_ = shape.size() == 3 ? shape[1] : 0;
  num_stored_ = shape.size() == 3 ? shape[0] * shape[1] : shape[0];
  columns_ = shape.back();
  rows_ = static_cast<const std::byte*>(array.data());
  rows_owner_ = nb::borrow(rows);
}

void Received::read_scales(nb::handle scales) {
  if (scales.is_none()) return;
  const auto array = borrowed(scales, "scales");
  scale_bytes_ = array.itemsize();
  if (scale_bytes_ != 1 && array.dtype() != nb::dtype<float>()) {
    throw UsageError("scales are neither float32 nor bytes (FP8 has one of these); view or convert them");
  }
  if (array.size() * static_cast<std::size_t>(scale_group) != num_stored_ * columns_) {
    throw UsageError(
        fmt::format("scales have shape {} (one for {} columns of every row is needed, {} in all); reshape "
                    "them",
                    shape_text(shape_of(array)), scale_group,
                    num_stored_ * columns_ / static_cast<std::size_t>(scale_group)));
  }
  scales_ = array.data();
  scales_owner_ = nb::borrow(scales);
}

void Received::read_counts(nb::handle counts) {
  const Integers given = integers_of(counts, "counts");
  if (given.shape.size() != 1 || given.values.empty() ||
      (slots_ > 0 && given.values.size() * slots_ != num_stored_)) {
    throw UsageError(fmt::format("counts have shape {} (one number a local expert is needed); correct them",
                                 shape_text(given.shape)));
  }
  counts_ = given.values;
  expert_begin_.push_back(0);
  for (std::size_t expert = 0; expert < counts_.size(); ++expert) {
    const auto room =
        static_cast<std::int64_t>(slots_ > 0 ? slots_ : std::min<std::size_t>(num_stored_, most));
    const bool rank_major = slots_ == 0;
    const std::int64_t next = expert_begin_.back() + counts_[expert];
    if (!impossible_ && (counts_[expert] < 0 || next > most || (!rank_major && counts_[expert] > room))) {
      impossible_ = fmt::format("rows: found {}, where {} have room", counts_[expert], room);
      impossible_expert_ = static_cast<int>(expert);
    }
    expert_begin_.push_back(impossible_ ? expert_begin_.back() : static_cast<std::int32_t>(next));
  }
}

void Received::read_ranges(nb::handle begin, nb::handle count) {
  const Integers begins = integers_of(begin, "source_begin");
  const Integers sizes = integers_of(count, "source_count");
  if (begins.shape.size() != 2 || begins.shape != sizes.shape || begins.shape[0] != counts_.size()) {
    throw UsageError(
        fmt::format("source_begin and source_count have shapes {} and {} ([L, R] is needed); reshape them",
                    shape_text(begins.shape), shape_text(sizes.shape)));
  }
  const std::size_t ranks = begins.shape[1];
  for (std::size_t i = 0; i < begins.values.size(); ++i) {
    const std::int64_t first = expert_begin_[i / ranks];
    source_range_.push_back(
        {begins.values[i] < 0 ? -1 : row_number(begins.values[i] + first), row_number(sizes.values[i])});
  }
}

void Received::read_storage(nb::handle storage_row) {
  if (slots_ > 0) {
    for (std::size_t expert = 0; expert < counts_.size(); ++expert) {
      for (std::int64_t i = 0; i < counts_[expert]; ++i)
        storage_row_.push_back(static_cast<std::int32_t>(expert * slots_) + static_cast<std::int32_t>(i));
    }
    return;
  }
  if (storage_row.is_none()) return;
  const Integers given = integers_of(storage_row, "storage_row");
  for (const std::int64_t row : given.values) {
    if (row < 0 || static_cast<std::size_t>(row) >= num_stored_) {
      impossible_ = fmt::format("storage row {} is none of the {} rows", row, num_stored_);
      return;
    }
    storage_row_.push_back(static_cast<std::int32_t>(row));
  }
  if (static_cast<std::int64_t>(storage_row_.size()) < num_rows()) {
    impossible_ = fmt::format("rows: found {}, where {} have a storage row", num_rows(), storage_row_.size());
    return;
  }
  storage_row_.resize(static_cast<std::size_t>(num_rows()));
}

void Received::read_tokens(nb::handle tokens) {
  if (impossible_) return;
  const Integers given = integers_of(tokens, "source_token");
  const auto rows = static_cast<std::size_t>(num_rows());
  if (slots_ > 0 && given.values.size() != num_stored_) {
    throw UsageError(
        fmt::format("source_token has shape {} (one index a slot is needed, {} in all); reshape it",
                    shape_text(given.shape), num_stored_));
  }
  if (slots_ == 0 && given.values.size() < rows) {
    impossible_ = fmt::format("rows: found {}, where {} have a source token", rows, given.values.size());
    return;
  }
  for (std::size_t row = 0; row < rows; ++row) {
    const std::size_t at = slots_ > 0 ? static_cast<std::size_t>(storage_row_[row]) : row;
    source_token_.push_back(row_number(given.values[at]));
  }
}

/// Rows of the array that an output of this many rows refers to: as many as the oracle asks for, if they are
/// there.
std::size_t Received::stored_rows() const {
  const auto rows = static_cast<std::size_t>(num_rows());
  if (slots_ == 0 && storage_row_.empty()) return std::min(rows, num_stored_);
  if (storage_row_.empty()) return 0;
  return static_cast<std::size_t>(*std::max_element(storage_row_.begin(), storage_row_.end())) + 1;
}

bool Received::is_whole() const {
  const bool has_rows =
      slots_ > 0 || !storage_row_.empty() || static_cast<std::size_t>(num_rows()) <= num_stored_;
  return has_rows && (item_bytes_ == 2) == (scale_bytes_ == 0);
}

DispatchOutput Received::output(DispatchFormat format, int hidden) const {
  if (columns_ != static_cast<std::size_t>(hidden)) {
    throw UsageError(fmt::format("rows have {} columns (hidden is {}); give whole rows", columns_, hidden));
  }
  const std::size_t stored = stored_rows();
  const std::size_t groups = columns_ / static_cast<std::size_t>(scale_group);
  DispatchOutput output;
  output.format = DispatchFormat::bf16;
  if (item_bytes_ == 1) {
    output.format = format == DispatchFormat::fp8_pow2 ? format : DispatchFormat::fp8;
    if (scale_bytes_ == 1) output.format = DispatchFormat::fp8_ue8m0;
  }
  output.rows = {rows_, stored * columns_ * item_bytes_};
  if (scale_bytes_ == 4) output.scales = {static_cast<const float*>(scales_), stored * groups};
  if (scale_bytes_ == 1) output.scale_bytes = {static_cast<const std::uint8_t*>(scales_), stored * groups};
  output.expert_begin = expert_begin_;
  output.source_range = source_range_;
  output.source_token = source_token_;
  output.storage_row = storage_row_;
  return output;
}

std::optional<Mismatch> Received::impossible(int rank, int experts_per_rank) const {
  if (!impossible_) return std::nullopt;
  const int expert = impossible_expert_ < 0 ? -1 : rank * experts_per_rank + impossible_expert_;
  return Mismatch{"dispatch", rank, rank, -1, expert, -1, *impossible_};
}

}  // namespace epskew::python
