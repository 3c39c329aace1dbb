#pragma once

/// One rank of the shared-memory exchange: flags and waiting. The algorithms move the data. Protocol:
/// docs/protocol.md.

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "backends/cpu/combine_algorithm.hpp"
#include "backends/cpu/control.hpp"
#include "backends/cpu/delays.hpp"
#include "backends/cpu/dispatch_algorithm.hpp"
#include "backends/cpu/operation.hpp"
#include "backends/cpu/wait.hpp"
#include "epskew/exchange/exchange.hpp"
#include "epskew/support/error.hpp"

namespace epskew::cpu {

/// What all ranks share.
struct SharedWorld {
  /// For ranks that are forked later: at the same addresses in every process.
  SharedWorld(const ExchangeShape& shape, const ExchangeOptions& options);
  /// Of parts that this and other processes made; `arenas` has one for each rank.
  SharedWorld(const ExchangeShape& shape, const ExchangeOptions& options, Control control,
              std::vector<SharedMemory> arenas);

  ExchangeShape shape;
  ExchangeOptions options;
  Variants variants;
  ArenaLayout layout;
  Control control;
  std::vector<SharedMemory> arenas;  ///< [R]
};

/// Another rank, or the parent, ended the run while this one waited. The message says for whom it waited.
class RunAborted : public RankLost {
 public:
  using RankLost::RankLost;
};

class CpuExchange : public Exchange {
 public:
  CpuExchange(SharedWorld& world, int rank);

  const ExchangeShape& shape() const override { return world_.shape; }
  const ExchangeOptions& options() const override { return world_.options; }
  std::span<const int> local_ranks() const override { return ranks_; }

  void set_input(int local, int batch, const RankInput& input) override;
  void dispatch_send(int batch) override;
  void dispatch_recv(int batch) override;
  void combine_send(int batch) override;
  void combine_recv(int batch) override;
  DispatchOutput dispatch_output(int local, int batch) override;
  std::span<BFloat16> expert_output(int local, int batch) override;
  std::span<const BFloat16> combine_output(int local, int batch) override;
  void align() override;
  MemoryUse memory(int local) const override;
  ReceiveStatistics statistics(int local) const override;
  std::span<const std::uint8_t> lost_ranks(int local, int batch) const override;

 protected:
  std::int64_t earliest(std::int64_t mine_ns) override;

 private:
  Operation& operation(int batch) { return operations_[static_cast<std::size_t>(batch)]; }
  void publish_counts(int batch);
  void gather_counts(int batch);
  void raise_flags(FlagKind kind, int batch);
  /// Waits for every source; `waits` [R] adds up how long each one took.
  void await_flags(FlagKind kind, int batch, std::vector<double>& waits);
  void copy_expert_output(int batch);

  void enter(Activity activity, int batch);
  bool is_lost(int rank) const { return control_.rank(rank).lost.load(std::memory_order_acquire) != 0; }
  /// Waits until ready(rank) holds for every rank or the rank is lost; asks again only for those still
  /// missing.
  template <class Ready>
  void await_all(Ready&& ready);
  void note_lost(int rank);
  [[noreturn]] void give_up(WaitResult result, const std::vector<int>& missing) const;

  SharedWorld& world_;
  Control& control_;
  int rank_;
  std::array<int, 1> ranks_;
  std::deque<Operation> operations_;  ///< [micro-batches]
  std::unique_ptr<DispatchAlgorithm> dispatch_;
  std::unique_ptr<CombineAlgorithm> combine_;
  std::vector<std::vector<BFloat16>>
      copied_output_;  ///< [micro-batches][num_rows·H], variant expert_output=copied
  std::vector<std::int64_t> expert_rows_;
  std::vector<double> dispatch_wait_us_;
  std::vector<double> combine_wait_us_;
  std::uint32_t arrivals_ = 0;
  Activity activity_ = Activity::outside;
  int activity_batch_ = 0;
  Delays delays_;
};

}  // namespace epskew::cpu
