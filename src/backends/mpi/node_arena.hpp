#pragma once

/// One micro-batch's rows and results of every rank of a node, in shared memory that grows to what the
/// routing needs.

#include <memory>

#include "backends/mpi/result_row.hpp"
#include "backends/mpi/shared_window.hpp"
#include "backends/mpi/topology.hpp"
#include "backends/mpi/wire_row.hpp"
#include "epskew/exchange/exchange.hpp"
#include "exchange/kernels.hpp"

namespace epskew::mpi {

class NodeArena {
 public:
  /// All borrowed.
  NodeArena(const NodeComm& node, const WireRow& wire, const ResultRow& result_row, Control& control)
      : node_(&node), wire_(&wire), result_row_(&result_row), control_(&control) {}

  /// Collective over the node where it has to grow; all ranks of the node must give the same number. Contents
  /// are lost then, so nobody may still need them.
  void reserve(std::int32_t rows);

  std::byte* row(int member, std::int32_t row) const {
    return at(member, rows_) + offset(row, wire_->row_size);
  }
  std::byte* scales(int member, std::int32_t row) const {
    return at(member, scales_) + offset(row, wire_->scales_size);
  }
  std::int32_t* source_token(int member) const {
    return reinterpret_cast<std::int32_t*>(at(member, source_token_));
  }
  BFloat16* result(int member, std::int32_t row) const {
    return reinterpret_cast<BFloat16*>(at(member, results_)) +
           offset(row, static_cast<std::size_t>(wire_->hidden));
  }
  /// The same result as it travels: the row itself unless results are coded.
  std::byte* travelling(int member, std::int32_t row) const {
    return at(member, result_row_->is_coded() ? coded_ : results_) + offset(row, result_row_->capacity);
  }
  /// Stores a token as it travels.
  void store(int member, std::int32_t row, const std::byte* payload, std::int32_t token) const;
  /// Orders all store() calls so far before a flag that announces them.
  static void publish() { finish_streaming(); }
  std::int64_t bytes() const { return window_ ? static_cast<std::int64_t>(window_->bytes()) : 0; }

 private:
  static std::size_t offset(std::int32_t row, std::size_t each) {
    return static_cast<std::size_t>(row) * each;
  }
  std::byte* at(int member, std::size_t offset) const { return window_->of(member) + offset; }

  const NodeComm* node_;
  const WireRow* wire_;
  const ResultRow* result_row_;
  Control* control_;
  std::int32_t capacity_ = 0;
  std::unique_ptr<SharedWindow> window_;
  std::size_t rows_ = 0, scales_ = 0, source_token_ = 0, results_ = 0, coded_ = 0;  ///< offsets
};

}  // namespace epskew::mpi
