#pragma once

/// One rank of the shared-memory exchange. Protocol: docs/protocol.md.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "backends/cpu/arena.hpp"
#include "backends/cpu/control.hpp"
#include "backends/cpu/delays.hpp"
#include "backends/cpu/row_plan.hpp"
#include "backends/cpu/wait.hpp"
#include "epskew/exchange/exchange.hpp"
#include "epskew/support/error.hpp"

namespace epskew::cpu {

/// What all ranks share; made before the fork, at the same addresses in every process.
struct SharedWorld {
  SharedWorld(const ExchangeShape& shape, const ExchangeOptions& options);

  ExchangeShape shape;
  ExchangeOptions options;
  ArenaLayout layout;
  Control control;
  std::vector<SharedMemory> arenas;  ///< [R]
};

/// Another rank, or the parent, ended the run while this one waited. The message says for whom it waited.
class RunAborted : public RankLost {
 public:
  using RankLost::RankLost;
};

class CpuExchange final : public Exchange {
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

 protected:
  std::int64_t earliest(std::int64_t mine_ns) override;

 private:
  /// One micro-batch as this rank sees it.
  struct Batch {
    Batch(int rank, const ExchangeShape& shape) : plan(rank, shape) {}
    RankInput input;
    RowPlan plan;
    std::uint32_t epoch = 0;  ///< operations begun
  };
  Batch& batch(int index) { return batches_[static_cast<std::size_t>(index)]; }
  ArenaView arena(int rank, int batch) const;
  int tokens(const Batch& batch) const {
    return static_cast<int>(batch.input.topk_idx.size()) / shape().topk;
  }

  void publish_counts(int index);
  void gather_counts(int index);
  void send_tokens(int index);
  void send_token(int index, int token, const std::vector<ArenaView>& arenas);
  void raise_flags(FlagKind kind, int index);
  void await_flags(FlagKind kind, int index);
  void reduce_tokens(int index);

  void enter(Activity activity, int batch);
  /// Waits until ready(source) holds for every rank; ready is asked again only for those still missing.
  template <class Ready>
  void await_all(Ready&& ready);
  [[noreturn]] void give_up(WaitResult result, const std::vector<int>& missing) const;
  const char* activity_name() const;

  SharedWorld& world_;
  Control& control_;
  int rank_;
  std::array<int, 1> ranks_;
  std::vector<Batch> batches_;
  std::uint32_t arrivals_ = 0;
  Activity activity_ = Activity::outside;
  int activity_batch_ = 0;
  Delays delays_;
  std::vector<std::byte> scratch_;    ///< one token in the dispatch format
  std::vector<float> scale_scratch_;  ///< its scales
  std::vector<std::uint8_t> scale_byte_scratch_;
};

}  // namespace epskew::cpu
