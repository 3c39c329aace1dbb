#pragma once

/// The CUDA exchange: all ranks of the world in this process, on one GPU or on several that see each other's
/// memory, or one rank of a job of processes.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "backends/cuda/device_part.hpp"
#include "backends/cuda/peer_arenas.hpp"
#include "backends/cuda/plan.hpp"
#include "epskew/exchange/world.hpp"

namespace epskew::cuda {

class DeviceExchange final : public Exchange {
 public:
  /// `job`: this process plays the rank of that number only, and the others are reached through it; it
  /// outlives the exchange, and making one is collective. Null: all ranks live here.
  DeviceExchange(const ExchangeShape& shape, const ExchangeOptions& options, const Settings& settings,
                 const Plan& plan, Bootstrap* job = nullptr);
  ~DeviceExchange() override;

  const ExchangeShape& shape() const override { return shape_; }
  const ExchangeOptions& options() const override { return options_; }
  std::span<const int> local_ranks() const override { return ranks_; }
  void set_input(int local, int batch, const RankInput& input) override;
  void dispatch_send(int batch) override;
  void dispatch_recv(int batch) override;
  void combine_send(int batch) override;
  void combine_recv(int batch) override;
  void dispatch(int batch) override;
  void combine(int batch) override;
  DispatchOutput dispatch_output(int local, int batch) override;
  std::span<BFloat16> expert_output(int local, int batch) override;
  void commit_expert_output(int local, int batch) override;
  std::span<const BFloat16> combine_output(int local, int batch) override;
  void align() override;
  void measure(TimingMode mode, std::span<IterationSample> samples) override;
  std::int64_t own_flush_bytes() const override;
  CombineRounding combine_rounding() const override {
    return plan_.algorithms.combine == CombineAlgorithm::prereduce ? CombineRounding::summed_on_the_way
                                                                   : CombineRounding::in_order;
  }
  MemoryUse memory(int local) const override;
  void stop_rank(int local) override;
  std::span<const std::uint8_t> lost_ranks(int local, int batch) const override;
  /// With ExchangeOptions::shrink: who was left out so far, and who had waited.
  const std::vector<LostRank>& losses() const { return losses_; }

 private:
  /// Where a micro-batch stands.
  struct Batch {
    std::uint32_t epoch = 0;               ///< operations begun
    std::vector<int> tokens;               ///< [R]
    RankBits lost;                         ///< without a part in the latest operation
    std::vector<std::uint8_t> lost_ranks;  ///< [R] the same, as callers see it
  };
  /// Host copies of one (rank, micro-batch), refreshed on demand.
  struct Mirror {
    std::vector<std::byte> rows;
    std::vector<float> scales;
    std::vector<std::uint8_t> scale_bytes;
    std::vector<std::int32_t> expert_begin;
    std::vector<RowRange> source_range;
    std::vector<std::int32_t> source_token;
    std::vector<BFloat16> combined;
    std::vector<std::vector<BFloat16>> expert_out;  ///< by parity of the operation
  };

  using Parts = std::vector<std::unique_ptr<DevicePart>>;

  std::unique_ptr<DevicePart> make_part(std::size_t index) const;
  void clear_flags(const DevicePart& part, int batch) const;
  KernelFormats kernel_formats() const;
  int set_of(int parity, int batch) const { return parity * options_.micro_batches + batch; }
  ArenaOffsets offsets(int batch) const;
  DevicePart& part_of(int rank) const;
  char* arena(int rank) const;
  /// World rank of local rank `local`.
  int rank_of(int local) const { return ranks_[static_cast<std::size_t>(local)]; }
  void reach_peers();
  /// With a job: waits until every process has finished what it launched.
  void meet(const char* where) const;
  std::span<IterationSample> samples_of(const DevicePart& part, std::span<IterationSample> samples) const;
  Launch make_launch(const DevicePart& part, int batch, unsigned phases) const;
  void start(const DevicePart& part, Operation operation, int ranks, bool fused, Launch& arguments) const;
  void launch_fused(const DevicePart& part, Operation operation, int batch, unsigned phases,
                    Stamp* stamps) const;
  void launch_lockstep(Operation operation, int rank, int batch, unsigned phases, Stamp* stamps) const;
  const LaunchSize& size_of(Operation operation, unsigned phases, bool fused) const;
  int blocks_of(Operation operation, unsigned phases, bool fused) const;
  void run_phase(Operation operation, int batch, unsigned phases, bool fused);
  void begin_operation(int batch);
  std::optional<Abort> settle();
  void finish(const char* phase);
  void leave_out(const Abort& abort, const char* phase, int batch);
  /// Launches, and `again` after every rank that had to be left out; without shrink throws RankLost instead.
  void attempt(const char* phase, int batch, const std::function<void()>& launches,
               const std::function<void()>& again);
  void begin_again(int batch);
  /// `repeated`: all dispatch phases up to this one, for another attempt.
  void dispatch_phases(const char* phase, int batch, unsigned launched, unsigned repeated, bool fused);
  void combine_phases(const char* phase, int batch, unsigned launched, bool fused);
  /// Runs `launches` on the part's stream, as a graph if so set.
  void submit(DevicePart& part, const std::function<void()>& launches);
  std::int64_t earliest(std::int64_t mine_ns) override;
  void make_flush(DevicePart& part) const;
  void flush(const DevicePart& part) const;
  struct FusedStep;
  struct LockstepStep;
  void submit_fused(DevicePart& part, std::span<const FusedStep> steps);
  void read_fused(const DevicePart& part, std::span<const FusedStep> steps, bool pair,
                  std::span<IterationSample> samples) const;
  void measure_fused(TimingMode mode, std::span<IterationSample> samples);
  void submit_in_turn(DevicePart& part, std::span<const LockstepStep> steps);
  void submit_in_turn(std::span<const LockstepStep> steps);
  void submit_lockstep(DevicePart& part, std::span<const LockstepStep> steps);
  void read_lockstep(const DevicePart& part, std::span<const LockstepStep> steps, TimingMode mode,
                     std::span<IterationSample> samples) const;
  void measure_lockstep(TimingMode mode, std::span<IterationSample> samples);
  int most_blocks() const;
  std::size_t stamp_capacity() const;
  Mirror& mirror(int local, int batch) {
    return mirrors_[static_cast<std::size_t>(local * options_.micro_batches + batch)];
  }
  template <class T>
  void download(std::vector<T>& host, int rank, std::uint64_t offset, std::size_t count);
  int num_rows(int local, int batch);

  ExchangeShape shape_;
  ExchangeOptions options_;
  Settings settings_;
  Plan plan_;
  ArenaLayout layout_;
  std::vector<int> ranks_;
  Parts parts_;
  Bootstrap* job_;                     ///< null: all ranks live here
  std::unique_ptr<PeerArenas> peers_;  ///< with a job only
  std::vector<Batch> batches_;
  std::vector<Mirror> mirrors_;
  RankBits lost_;     ///< left out of every operation from now on
  RankBits stopped_;  ///< do nothing any more, found out or not
  std::vector<LostRank> losses_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace epskew::cuda
