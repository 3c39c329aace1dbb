#pragma once

/// The plain truth: every rank in this process, one thread, loops that read like the definition.

#include <vector>

#include "epskew/exchange/exchange.hpp"

namespace epskew {

class ReferenceExchange final : public Exchange {
 public:
  ReferenceExchange(const ExchangeShape& shape, const ExchangeOptions& options);

  const ExchangeShape& shape() const override { return shape_; }
  const ExchangeOptions& options() const override { return options_; }
  std::span<const int> local_ranks() const override { return ranks_; }

  void set_input(int local, int batch, const RankInput& input) override;
  void dispatch_send(int batch) override;
  void dispatch_recv(int batch) override;
  void combine_send(int batch) override;
  void combine_recv(int batch) override;
  DispatchOutput dispatch_output(int local, int batch) override;
  std::span<BFloat16> expert_output(int local, int batch) override;
  std::span<const BFloat16> combine_output(int local, int batch) override;
  void align() override {}
  MemoryUse memory(int local) const override;
  ReceiveStatistics statistics(int local) const override {
    return {expert_rows_[static_cast<std::size_t>(local)], {}, {}};
  }

 private:
  /// One rank's side of one micro-batch.
  struct Side {
    RankInput input;
    std::vector<std::byte> sent_rows;  ///< [T][row bytes]: every token in the dispatch format
    std::vector<float> sent_scales;    ///< [T][H/128]
    std::vector<std::byte> rows;       ///< [num_rows][row bytes]
    std::vector<float> scales;         ///< [num_rows][H/128]
    std::vector<std::uint8_t> scale_bytes;
    std::vector<std::int32_t> expert_begin;  ///< [L+1]
    std::vector<RowRange> source_range;      ///< [L][R]
    std::vector<std::int32_t> source_token;  ///< [num_rows]
    std::vector<BFloat16> expert_output;     ///< [num_rows][H]
    std::vector<BFloat16> returned;          ///< [num_rows][H]: the results as they travel
    std::vector<BFloat16> combined;          ///< [T][H]
  };
  Side& side(int rank, int batch) {
    return sides_[static_cast<std::size_t>(batch * shape_.num_ranks + rank)];
  }
  int tokens(const Side& side) const { return static_cast<int>(side.input.topk_idx.size()) / shape_.topk; }
  void receive(int rank, int batch);
  void append_row(Side& to, const Side& from, int token) const;
  void reduce_token(Side& owner, int rank, int token, int batch);

  ExchangeShape shape_;
  ExchangeOptions options_;
  std::vector<int> ranks_;
  std::vector<Side> sides_;                             ///< [micro-batches][R]
  std::vector<std::vector<std::int64_t>> expert_rows_;  ///< [R][L] rows received so far
};

}  // namespace epskew
