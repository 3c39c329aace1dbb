/// Timing inside the kernels: every block stamps %globaltimer when it starts and when its last store is
/// issued. A rank's time is its last end minus its first begin, so neither the host nor the launch is in it.

#include <algorithm>
#include <limits>

#include "backends/cuda/device_exchange.hpp"

namespace epskew::cuda {
namespace {

/// Larger than any L2: what is read of it displaces everything else.
constexpr std::size_t flush_bytes = 256u << 20;

Stamp merge(std::span<const Stamp> stamps) {
  Stamp all{std::numeric_limits<std::uint64_t>::max(), 0};
  for (const Stamp& stamp : stamps) {
    all.begin = std::min(all.begin, stamp.begin);
    all.end = std::max(all.end, stamp.end);
  }
  return all;
}

double microseconds(std::uint64_t begin, std::uint64_t end) {
  return static_cast<double>(end - begin) / 1e3;
}

void set_misalignments(std::span<const Stamp> first, std::span<IterationSample> samples) {
  std::uint64_t earliest = std::numeric_limits<std::uint64_t>::max();
  for (const Stamp& stamp : first) earliest = std::min(earliest, stamp.begin);
  for (std::size_t r = 0; r < samples.size(); ++r)
    samples[r].misalignment_us = microseconds(earliest, first[r].begin);
}

double& us(IterationSample& sample, Phase phase) {
  return sample.us[static_cast<std::size_t>(phase)];
}

}  // namespace

int DeviceExchange::most_blocks() const {
  return std::max({plan_.fused_dispatch.blocks, plan_.fused_combine.blocks, plan_.lockstep_counts.blocks,
                   plan_.lockstep_dispatch.blocks, plan_.lockstep_combine.blocks});
}

std::size_t DeviceExchange::stamp_capacity() const {
  // Five lockstep launches a rank (counts apart), or two fused ones.
  return 5 * static_cast<std::size_t>(shape_.num_ranks) * static_cast<std::size_t>(most_blocks());
}

void DeviceExchange::submit(const std::function<void()>& launches) {
  if (flush_.size() == 0 && !settings_.warm) {
    flush_ = DeviceMemory(flush_bytes);
    check(cudaMemset(flush_.data(), 0, flush_bytes), "cudaMemset");
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  }
  if (settings_.graph) {
    replay_.run(stream_.get(), launches);
  } else {
    launches();
  }
}

void DeviceExchange::flush() {
  if (settings_.warm) return;
  check(flush_cache(flush_.data(), flush_.size(), stream_.get()), "kernel launch");
}

std::vector<Stamp> DeviceExchange::read_stamps(std::size_t count) {
  std::vector<Stamp> stamps(count);
  check(cudaMemcpy(stamps.data(), stamps_.data(), count * sizeof(Stamp), cudaMemcpyDeviceToHost),
        "cudaMemcpy");
  return stamps;
}

void DeviceExchange::measure(TimingMode mode, std::span<IterationSample> samples) {
  std::fill(samples.begin(), samples.end(), IterationSample{});
  const bool split = mode == TimingMode::split;
  const bool fused = settings_.driver == Driver::fused || (settings_.driver == Driver::automatic && !split);
  begin_operation(0);
  if (fused) {
    measure_fused(mode, samples);
  } else {
    measure_lockstep(mode, samples);
  }
}

/// One launch an operation (or a phase), all ranks in it.
void DeviceExchange::measure_fused(TimingMode mode, std::span<IterationSample> samples) {
  struct Step {
    Operation operation;
    unsigned phases;
    bool flush_before;
    Phase phase;
  };
  const bool pair = mode == TimingMode::pair;
  const std::vector<Step> steps =
      mode == TimingMode::split
          ? std::vector<Step>{{Operation::dispatch, phase_counts | phase_send, true, Phase::dispatch_send},
                              {Operation::dispatch, phase_recv, false, Phase::dispatch_recv},
                              {Operation::combine, phase_send, true, Phase::combine_send},
                              {Operation::combine, phase_recv, false, Phase::combine_recv}}
          : std::vector<Step>{
                {Operation::dispatch, phase_counts | phase_send | phase_recv, true, Phase::dispatch},
                {Operation::combine, phase_send | phase_recv, !pair, Phase::combine}};
  const auto blocks = static_cast<std::size_t>(most_blocks());
  const std::size_t per_step = blocks * samples.size();
  auto* device_stamps = reinterpret_cast<Stamp*>(stamps_.data());
  submit([&] {
    for (std::size_t i = 0; i < steps.size(); ++i) {
      if (steps[i].flush_before) flush();
      launch_fused(steps[i].operation, 0, steps[i].phases, device_stamps + i * per_step);
    }
  });
  finish("measure");
  const std::vector<Stamp> stamps = read_stamps(steps.size() * per_step);
  std::vector<Stamp> first(samples.size());
  for (std::size_t i = 0; i < steps.size(); ++i) {
    for (std::size_t r = 0; r < samples.size(); ++r) {
      const auto used = static_cast<std::size_t>(blocks_of(steps[i].operation, steps[i].phases, true));
      const Stamp stamp = merge(std::span(stamps).subspan(i * per_step + r * used, used));
      if (i == 0) first[r] = stamp;
      if (pair) {
        us(samples[r], Phase::dispatch_combine) = microseconds(first[r].begin, stamp.end);
      } else {
        us(samples[r], steps[i].phase) = microseconds(stamp.begin, stamp.end);
      }
    }
  }
  set_misalignments(first, samples);
}

/// One launch a rank and phase, each with the whole GPU. The two launches of dispatch_send (counts, rows) are
/// added up.
void DeviceExchange::measure_lockstep(TimingMode mode, std::span<IterationSample> samples) {
  struct Step {
    Operation operation;
    unsigned phases;
    bool flush_before;
    Phase half;
    Phase whole;
  };
  const bool flush_combine = mode != TimingMode::pair;
  const Step steps[] = {{Operation::dispatch, phase_counts, true, Phase::dispatch_send, Phase::dispatch},
                        {Operation::dispatch, phase_send, false, Phase::dispatch_send, Phase::dispatch},
                        {Operation::dispatch, phase_recv, false, Phase::dispatch_recv, Phase::dispatch},
                        {Operation::combine, phase_send, flush_combine, Phase::combine_send, Phase::combine},
                        {Operation::combine, phase_recv, false, Phase::combine_recv, Phase::combine}};
  const auto blocks = static_cast<std::size_t>(most_blocks());
  const std::size_t ranks = samples.size();
  auto* device_stamps = reinterpret_cast<Stamp*>(stamps_.data());
  std::size_t launches = 0;
  submit([&] {
    for (const Step& step : steps) {
      if (step.flush_before) flush();
      for (const int rank : ranks_) {
        launch_lockstep(step.operation, rank, 0, step.phases, device_stamps + launches * blocks);
        ++launches;
      }
    }
  });
  finish("measure");
  const std::vector<Stamp> stamps = read_stamps(launches * blocks);
  launches = 0;
  for (const Step& step : steps) {
    const auto used = static_cast<std::size_t>(blocks_of(step.operation, step.phases, false));
    for (std::size_t r = 0; r < ranks; ++r) {
      const Stamp stamp = merge(std::span(stamps).subspan(launches * blocks, used));
      const Phase phase = mode == TimingMode::split   ? step.half
                          : mode == TimingMode::fused ? step.whole
                                                      : Phase::dispatch_combine;
      double& total = us(samples[r], phase);
      total = (total == total ? total : 0.0) + microseconds(stamp.begin, stamp.end);
      ++launches;
    }
  }
  // Ranks run one after the other: each is its own clock's origin.
  for (IterationSample& sample : samples) sample.misalignment_us = 0.0;
}

}  // namespace epskew::cuda
