/// Timing inside the kernels: every block stamps %globaltimer when it starts and when its last store is
/// issued. A rank's time is its last end minus its first begin, so neither the host nor the launch is in it.

#include <algorithm>
#include <chrono>
#include <limits>

#include "backends/cuda/device_exchange.hpp"
#include "epskew/support/error.hpp"

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

std::vector<Stamp> read_stamps(const DevicePart& part, std::size_t count) {
  std::vector<Stamp> stamps(count);
  check(cudaMemcpy(stamps.data(), part.stamps.data(), count * sizeof(Stamp), cudaMemcpyDeviceToHost),
        "cudaMemcpy");
  return stamps;
}

std::int64_t host_now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
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
  // Five lockstep launches a rank (counts apart), or four fused ones.
  return 5 * static_cast<std::size_t>(shape_.num_ranks) * static_cast<std::size_t>(most_blocks());
}

void DeviceExchange::make_flush(DevicePart& part) const {
  check(cudaSetDevice(part.device), "cudaSetDevice");
  if (part.flush.size() != 0 || !options_.flush_cache) return;
  part.flush = DeviceMemory(flush_bytes);
  check(cudaMemset(part.flush.data(), 0, flush_bytes), "cudaMemset");
  check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
}

void DeviceExchange::submit(DevicePart& part, const std::function<void()>& launches) {
  make_flush(part);
  if (settings_.graph) {
    part.replay.run(part.stream.get(), launches);
  } else {
    launches();
  }
}

std::int64_t DeviceExchange::earliest(std::int64_t mine_ns) {
  if (job_ == nullptr) return mine_ns;
  std::int64_t first = mine_ns;
  for (const std::string& start : job_->all_gather(std::to_string(mine_ns), "comparing start times"))
    first = std::min<std::int64_t>(first, std::stoll(start));
  return first;
}

std::int64_t DeviceExchange::own_flush_bytes() const {
  return options_.flush_cache ? std::int64_t{flush_bytes} : 0;
}

void DeviceExchange::flush(const DevicePart& part) const {
  if (!options_.flush_cache) return;
  check(flush_cache(part.flush.data(), part.flush.size(), part.stream.get()), "kernel launch");
}

std::span<IterationSample> DeviceExchange::samples_of(const DevicePart& part,
                                                      std::span<IterationSample> samples) const {
  const auto first = static_cast<std::size_t>(part.first_rank - ranks_.front());
  return samples.subspan(first, static_cast<std::size_t>(part.num_ranks));
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

/// One launch an operation (or a phase), all ranks of the device in it.
struct DeviceExchange::FusedStep {
  Operation operation;
  unsigned phases;
  bool flush_before;
  Phase phase;
};

void DeviceExchange::submit_fused(DevicePart& part, std::span<const FusedStep> steps) {
  const std::size_t per_step = static_cast<std::size_t>(most_blocks() * part.num_ranks);
  submit(part, [&] {
    for (std::size_t i = 0; i < steps.size(); ++i) {
      if (steps[i].flush_before) flush(part);
      launch_fused(part, steps[i].operation, 0, steps[i].phases, part.device_stamps() + i * per_step);
    }
  });
}

void DeviceExchange::read_fused(const DevicePart& part, std::span<const FusedStep> steps, bool pair,
                                std::span<IterationSample> samples) const {
  const std::size_t per_step = static_cast<std::size_t>(most_blocks() * part.num_ranks);
  const std::vector<Stamp> stamps = read_stamps(part, steps.size() * per_step);
  std::vector<Stamp> first(samples.size());
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto used = static_cast<std::size_t>(blocks_of(steps[i].operation, steps[i].phases, true));
    for (std::size_t r = 0; r < samples.size(); ++r) {
      const Stamp stamp = merge(std::span(stamps).subspan(i * per_step + r * used, used));
      if (i == 0) first[r] = stamp;
      const Phase phase = pair ? Phase::dispatch_combine : steps[i].phase;
      us(samples[r], phase) = microseconds(pair ? first[r].begin : stamp.begin, stamp.end);
    }
  }
  set_misalignments(first, samples);
}

void DeviceExchange::measure_fused(TimingMode mode, std::span<IterationSample> samples) {
  constexpr unsigned whole_dispatch = phase_counts | phase_send | phase_recv;
  constexpr FusedStep split[] = {{Operation::dispatch, phase_counts | phase_send, true, Phase::dispatch_send},
                                 {Operation::dispatch, phase_recv, false, Phase::dispatch_recv},
                                 {Operation::combine, phase_send, true, Phase::combine_send},
                                 {Operation::combine, phase_recv, false, Phase::combine_recv}};
  const bool pair = mode == TimingMode::pair;
  const FusedStep whole[] = {{Operation::dispatch, whole_dispatch, true, Phase::dispatch},
                             {Operation::combine, phase_send | phase_recv, !pair, Phase::combine}};
  const std::span<const FusedStep> steps =
      mode == TimingMode::split ? std::span<const FusedStep>(split) : std::span<const FusedStep>(whole);
  align();
  const std::int64_t start = host_now_ns();
  for (const auto& part : parts_) submit_fused(*part, steps);
  finish("measure");
  for (const auto& part : parts_) read_fused(*part, steps, pair, samples_of(*part, samples));
  if (job_ == nullptr) return;
  // GPUs have clocks of their own: only the hosts' say who started later.
  const std::int64_t first = earliest(start);
  for (IterationSample& sample : samples) sample.misalignment_us = static_cast<double>(start - first) / 1e3;
}

/// One launch a rank and phase, each with the whole GPU. The two launches of dispatch_send (counts, rows) are
/// added up.
struct DeviceExchange::LockstepStep {
  Operation operation;
  unsigned phases;
  bool flush_before;
  Phase half;
  Phase whole;
};

void DeviceExchange::submit_lockstep(DevicePart& part, std::span<const LockstepStep> steps) {
  submit(part, [&] {
    Stamp* stamps = part.device_stamps();
    for (const LockstepStep& step : steps) {
      if (step.flush_before) flush(part);
      for (int r = 0; r < part.num_ranks; ++r) {
        launch_lockstep(step.operation, part.first_rank + r, 0, step.phases, stamps);
        stamps += most_blocks();
      }
    }
  });
}

/// Processes that may share a GPU: each has it alone in its turn, with the cache emptied for it.
void DeviceExchange::submit_in_turn(DevicePart& part, std::span<const LockstepStep> steps) {
  make_flush(part);
  Stamp* stamps = part.device_stamps();
  for (const LockstepStep& step : steps) {
    for (int turn = 0; turn < shape_.num_ranks; ++turn) {
      meet("taking turns");
      if (turn != part.first_rank) continue;
      if (step.flush_before) flush(part);
      launch_lockstep(step.operation, part.first_rank, 0, step.phases, stamps);
    }
    stamps += most_blocks();
  }
  meet("taking turns");
}

/// Several GPUs of this process, one after the other too: a launch may wait for what another GPU's has sent.
void DeviceExchange::submit_in_turn(std::span<const LockstepStep> steps) {
  for (const auto& part : parts_) make_flush(*part);
  std::size_t done = 0;
  for (const LockstepStep& step : steps) {
    for (const auto& part : parts_) {
      check(cudaSetDevice(part->device), "cudaSetDevice");
      if (step.flush_before) flush(*part);
      Stamp* stamps =
          part->device_stamps() + done * static_cast<std::size_t>(part->num_ranks * most_blocks());
      for (int r = 0; r < part->num_ranks; ++r, stamps += most_blocks())
        launch_lockstep(step.operation, part->first_rank + r, 0, step.phases, stamps);
      part->stream.synchronize();
    }
    ++done;
  }
}

void DeviceExchange::read_lockstep(const DevicePart& part, std::span<const LockstepStep> steps,
                                   TimingMode mode, std::span<IterationSample> samples) const {
  const auto blocks = static_cast<std::size_t>(most_blocks());
  const std::vector<Stamp> stamps = read_stamps(part, steps.size() * samples.size() * blocks);
  std::size_t launch = 0;
  for (const LockstepStep& step : steps) {
    const auto used = static_cast<std::size_t>(blocks_of(step.operation, step.phases, false));
    const Phase phase = mode == TimingMode::split   ? step.half
                        : mode == TimingMode::fused ? step.whole
                                                    : Phase::dispatch_combine;
    for (IterationSample& sample : samples) {
      const Stamp stamp = merge(std::span(stamps).subspan(launch++ * blocks, used));
      double& total = us(sample, phase);
      total = (total == total ? total : 0.0) + microseconds(stamp.begin, stamp.end);
    }
  }
  // Ranks run one after the other: each is its own clock's origin.
  for (IterationSample& sample : samples) sample.misalignment_us = 0.0;
}

void DeviceExchange::measure_lockstep(TimingMode mode, std::span<IterationSample> samples) {
  const bool flush_combine = mode != TimingMode::pair;
  const LockstepStep steps[] = {
      {Operation::dispatch, phase_counts, true, Phase::dispatch_send, Phase::dispatch},
      {Operation::dispatch, phase_send, false, Phase::dispatch_send, Phase::dispatch},
      {Operation::dispatch, phase_recv, false, Phase::dispatch_recv, Phase::dispatch},
      {Operation::combine, phase_send, flush_combine, Phase::combine_send, Phase::combine},
      {Operation::combine, phase_recv, false, Phase::combine_recv, Phase::combine}};
  if (job_ != nullptr) {
    submit_in_turn(*parts_.front(), steps);
  } else if (parts_.size() > 1) {
    submit_in_turn(steps);
  } else {
    submit_lockstep(*parts_.front(), steps);
  }
  finish("measure");
  for (const auto& part : parts_) read_lockstep(*part, steps, mode, samples_of(*part, samples));
}

}  // namespace epskew::cuda
