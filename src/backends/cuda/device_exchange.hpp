#pragma once

/// The CUDA exchange: all ranks of the world in this process, on one GPU or on several that see each other's
/// memory.

#include <functional>
#include <memory>
#include <vector>

#include "backends/cuda/device_part.hpp"
#include "backends/cuda/plan.hpp"
#include "epskew/exchange/exchange.hpp"

namespace epskew::cuda {

class DeviceExchange final : public Exchange {
 public:
  DeviceExchange(const ExchangeShape& shape, const ExchangeOptions& options, const Settings& settings,
                 const Plan& plan);

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
  void align() override {}
  void measure(TimingMode mode, std::span<IterationSample> samples) override;
  std::int64_t own_flush_bytes() const override;
  MemoryUse memory(int local) const override;

 private:
  /// Where a micro-batch stands.
  struct Batch {
    std::uint32_t epoch = 0;  ///< operations begun
    std::vector<int> tokens;  ///< [R]
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
  ArenaOffsets offsets(int batch) const;
  DevicePart& part_of(int rank) const;
  char* arena(int rank) const;
  Launch make_launch(const DevicePart& part, int batch, unsigned phases) const;
  void start(const DevicePart& part, Operation operation, int ranks, bool fused, Launch& arguments) const;
  void launch_fused(const DevicePart& part, Operation operation, int batch, unsigned phases,
                    Stamp* stamps) const;
  void launch_lockstep(Operation operation, int rank, int batch, unsigned phases, Stamp* stamps) const;
  const LaunchSize& size_of(Operation operation, unsigned phases, bool fused) const;
  int blocks_of(Operation operation, unsigned phases, bool fused) const;
  void run_phase(Operation operation, int batch, unsigned phases, bool fused);
  void begin_operation(int batch);
  void finish(const char* phase);
  /// Runs `launches` on the part's stream, as a graph if so set.
  void submit(DevicePart& part, const std::function<void()>& launches);
  void flush(const DevicePart& part) const;
  struct FusedStep;
  struct LockstepStep;
  void submit_fused(DevicePart& part, std::span<const FusedStep> steps);
  void read_fused(const DevicePart& part, std::span<const FusedStep> steps, bool pair,
                  std::span<IterationSample> samples) const;
  void measure_fused(TimingMode mode, std::span<IterationSample> samples);
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
  std::vector<Batch> batches_;
  std::vector<Mirror> mirrors_;
};

}  // namespace epskew::cuda
