#pragma once

/// Expands blocks into the rows of a dispatch output, and collects the results of their selections for the
/// way back.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "backends/mpi/rank_block.hpp"
#include "backends/mpi/received.hpp"
#include "backends/mpi/result_row.hpp"

namespace epskew::mpi {

class BlockReceiver {
 public:
  BlockReceiver(const ExchangeShape& shape, const WireRow& wire, int rank);

  /// `blocks` [R], by source, each complete. Not kept.
  void expand(std::span<std::byte* const> blocks);
  Received& received() { return received_; }
  const Received& received() const { return received_; }

  int num_results(int source) const { return num_results_[static_cast<std::size_t>(source)]; }
  /// Where they belong at the source, in rows.
  int first_result(int source) const { return first_result_[static_cast<std::size_t>(source)]; }
  /// Writes the results for `source`, in the order of its selections, to `out` as they travel, one behind the
  /// other; returns the bytes used.
  std::size_t gather(int source, const ResultRow& format, std::byte* out) const;

 private:
  void count(std::span<std::byte* const> blocks);
  void store(int source, std::byte* block);

  ExchangeShape shape_;
  const WireRow* wire_;
  BlockLayout layout_;
  int first_expert_;
  Received received_;
  std::vector<std::int32_t> counts_;               ///< [R][L]
  std::vector<std::vector<std::int32_t>> row_of_;  ///< [R][selections of that source here]
  std::vector<int> num_results_, first_result_;    ///< [R]
};

}  // namespace epskew::mpi
