#pragma once

/// Dispatch and combine as a user without an expert-parallel library writes them: counts by MPI_Alltoall, data by
/// MPI_Alltoallv, one copy of a token per selection, cast before and reduce after. The yardstick, not a backend.

#include <mpi.h>

#include <cstdint>
#include <span>
#include <vector>

#include "epskew/exchange/exchange.hpp"

namespace epskew::peer {

class AlltoallvExchange {
 public:
  /// `comm` has shape.num_ranks processes. Formats bf16 and fp8.
  AlltoallvExchange(MPI_Comm comm, const ExchangeShape& shape, DispatchFormat format);

  /// Collective. `input` is borrowed until the following combine returns.
  void dispatch(const RankInput& input);
  /// Collective. `out` [T][H].
  void combine(std::span<BFloat16> out);

  /// Views of the latest dispatch, rows by local expert, then source.
  DispatchOutput output() const;
  /// [num_rows][H], to be filled before combine.
  std::span<BFloat16> expert_output() { return expert_output_; }

 private:
  void exchange_counts();
  void pack();
  void unpack();

  MPI_Comm comm_;
  ExchangeShape shape_;
  DispatchFormat format_;
  int rank_ = 0;
  std::size_t payload_bytes_;  ///< of one row
  std::size_t message_bytes_;  ///< token index, payload, scales
  RankInput input_;
  std::vector<int> send_counts_, recv_counts_;      ///< [E] by global expert; [R source][L]
  std::vector<int> send_position_;                  ///< [T][K] message index of a selection in the send buffer
  std::vector<int> row_of_message_;                 ///< [received] row of the message
  std::vector<int> send_rows_, recv_rows_;          ///< [R] messages to / from each rank
  std::vector<std::byte> send_, recv_, rows_;
  std::vector<float> scales_;
  std::vector<std::int32_t> expert_begin_, source_token_;
  std::vector<RowRange> source_range_;
  std::vector<BFloat16> expert_output_, back_send_, back_recv_;
};

}  // namespace epskew::peer
