#pragma once

/// What all MPI variants share: inputs, waiting, alignment. A variant adds the four phases.

#include <mpi.h>

#include <array>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backends/mpi/control.hpp"
#include "backends/mpi/result_row.hpp"
#include "backends/mpi/simulated.hpp"
#include "backends/mpi/wire_row.hpp"
#include "epskew/exchange/exchange.hpp"
#include "epskew/exchange/world.hpp"
#include "exchange/kernels.hpp"

namespace epskew::mpi {

/// What an exchange is built on. Borrowed by it, except for the values.
struct Setting {
  ExchangeShape shape;
  ExchangeOptions options;
  Control* control = nullptr;
  MPI_Comm comm = MPI_COMM_NULL;  ///< for data
};

class MpiExchange : public Exchange {
 public:
  explicit MpiExchange(const Setting& setting);

  bool holds_data() const override { return !payload_is_folded(); }
  const ExchangeShape& shape() const override { return setting_.shape; }
  const ExchangeOptions& options() const override { return setting_.options; }
  std::span<const int> local_ranks() const override { return local_ranks_; }
  void set_input(int local, int batch, const RankInput& input) override;
  void align() override;
  std::int64_t earliest(std::int64_t mine_ns) override;
  /// What this exchange decided by itself, a sentence each.
  virtual std::vector<std::string> choices() const { return {}; }
  /// What its operations since the last call copied between ranks; uncounted where they did not all do the
  /// same.
  virtual WireCopies copies() { return {}; }

 protected:
  int rank() const { return local_ranks_[0]; }
  int num_ranks() const { return setting_.shape.num_ranks; }
  Control& control() const { return *setting_.control; }
  MPI_Comm comm() const { return setting_.comm; }
  const RankInput& input(int batch) const { return inputs_[static_cast<std::size_t>(batch)]; }
  int num_tokens(int batch) const {
    return static_cast<int>(input(batch).topk_idx.size()) / setting_.shape.topk;
  }
  const BFloat16* token(int batch, int index) const {
    return input(batch).x.data() +
           static_cast<std::size_t>(index) * static_cast<std::size_t>(setting_.shape.hidden);
  }
  /// [K] of one token.
  std::span<const std::int32_t> experts_of(int batch, int index) const {
    const auto topk = static_cast<std::size_t>(setting_.shape.topk);
    return input(batch).topk_idx.subspan(static_cast<std::size_t>(index) * topk, topk);
  }
  /// Sums the results of one token's selections into its place in `combined` [T][H]. `row_of` [K]: where each
  /// selection's result lies as it travelled (ResultRow); null where nothing is selected.
  void reduce_token(int batch, std::size_t token, std::span<const std::byte* const> row_of,
                    std::span<BFloat16> combined);
  /// The same for all tokens, `row_of` [T·K]; resizes `combined`.
  void reduce(int batch, std::span<const std::byte* const> row_of, std::vector<BFloat16>& combined);
  WireRow& wire() { return wire_; }
  const WireRow& wire() const { return wire_; }
  const ResultRow& result_row() const { return result_row_; }

 private:
  Setting setting_;
  WireRow wire_;
  ResultRow result_row_;
  std::vector<BFloat16> decoded_;      ///< [K][H] of one token, where results are coded
  std::vector<WeightedRow> weighted_;  ///< of one token
  std::array<int, 1> local_ranks_;
  std::vector<RankInput> inputs_;  ///< [micro-batches]
};

}  // namespace epskew::mpi
