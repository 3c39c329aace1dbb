/// The phases of an operation, and how it goes on without a rank that does not answer.

#include <fmt/format.h>

#include <algorithm>

#include "backends/cuda/device_exchange.hpp"
#include "epskew/support/error.hpp"

namespace epskew::cuda {
namespace {

constexpr unsigned counts_and_send = phase_counts | phase_send;
constexpr unsigned whole_dispatch = counts_and_send | phase_recv;

double seconds_of(std::chrono::milliseconds time) {
  return static_cast<double>(time.count()) / 1e3;
}

std::string describe(const Abort& abort, std::chrono::milliseconds timeout) {
  const char* what = abort.kind == WaitKind::counts          ? "the counts"
                     : abort.kind == WaitKind::dispatch_data ? "the tokens"
                                                             : "the expert outputs";
  return fmt::format("rank {} waited {:.1f} s for {} of rank {}", abort.waiter, seconds_of(timeout), what,
                     abort.awaited);
}

}  // namespace

void DeviceExchange::run_phase(Operation operation, int batch, unsigned phases, bool fused) {
  if (fused) {
    for (const auto& part : parts_) launch_fused(*part, operation, batch, phases, nullptr);
    return;
  }
  if ((phases & phase_counts) != 0) {
    for (const int rank : ranks_) launch_lockstep(operation, rank, batch, phase_counts, nullptr);
    meet("counts");
    phases &= ~unsigned{phase_counts};
  }
  for (const int rank : ranks_) launch_lockstep(operation, rank, batch, phases, nullptr);
  meet(operation == Operation::dispatch ? "dispatch" : "combine");
}

void DeviceExchange::begin_operation(int batch) {
  Batch& state = batches_[static_cast<std::size_t>(batch)];
  ++state.epoch;
  state.lost = lost_;
  for (int r = 0; r < shape_.num_ranks; ++r) state.lost_ranks[static_cast<std::size_t>(r)] = lost_.has(r);
}

/// Waits for the device; the first wait that gave up, if any.
std::optional<Abort> DeviceExchange::settle() {
  for (const auto& part : parts_) part->stream.synchronize();
  for (const auto& part : parts_) {
    std::uint64_t word = 0;
    check(cudaMemcpy(&word, part->abort_word.data(), sizeof word, cudaMemcpyDeviceToHost), "cudaMemcpy");
    if (word != 0) return unpack_abort(word);
  }
  return std::nullopt;
}

void DeviceExchange::finish(const char* phase) {
  if (const auto abort = settle())
    throw RankLost(fmt::format("{}: {}", phase, describe(*abort, options_.timeout)));
}

/// From now on the rank that was waited for has no part; everybody is told at once, so all survivors agree.
void DeviceExchange::leave_out(const Abort& abort, const char* phase, int batch) {
  Batch& state = batches_[static_cast<std::size_t>(batch)];
  lost_.add(abort.awaited);
  state.lost.add(abort.awaited);
  state.lost_ranks[static_cast<std::size_t>(abort.awaited)] = 1;
  losses_.push_back({abort.awaited,
                     fmt::format("did not answer within {:.1f} s", seconds_of(options_.timeout)),
                     fmt::format("{} of micro-batch {}", phase, batch),
                     std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(),
                     {abort.waiter}});
  // In the stream of the launches, which the default stream's memset would not be ordered with.
  for (const auto& part : parts_) {
    check(cudaMemsetAsync(part->abort_word.data(), 0, part->abort_word.size(), part->stream.get()),
          "cudaMemsetAsync");
  }
}

void DeviceExchange::attempt(const char* phase, int batch, const std::function<void()>& launches,
                             const std::function<void()>& again) {
  launches();
  while (const auto abort = settle()) {
    if (!options_.shrink) throw RankLost(fmt::format("{}: {}", phase, describe(*abort, options_.timeout)));
    leave_out(*abort, phase, batch);
    again();
  }
}

/// Counts and flags of an attempt that some ranks finished and others did not are worthless: they are
/// cleared, and the micro-batch counts its operations from the start.
void DeviceExchange::begin_again(int batch) {
  for (const auto& part : parts_) {
    check(cudaSetDevice(part->device), "cudaSetDevice");
    clear_flags(*part, batch);
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  }
  batches_[static_cast<std::size_t>(batch)].epoch = 0;
  begin_operation(batch);
}

void DeviceExchange::dispatch_phases(const char* phase, int batch, unsigned launched, unsigned repeated,
                                     bool fused) {
  attempt(
      phase, batch, [&] { run_phase(Operation::dispatch, batch, launched, fused); },
      [&] {
        begin_again(batch);
        if (fused && repeated == whole_dispatch) return run_phase(Operation::dispatch, batch, repeated, true);
        run_phase(Operation::dispatch, batch, counts_and_send, fused);
        if ((repeated & phase_recv) != 0) run_phase(Operation::dispatch, batch, phase_recv, fused);
      });
}

void DeviceExchange::dispatch_send(int batch) {
  begin_operation(batch);
  dispatch_phases("dispatch_send", batch, counts_and_send, counts_and_send,
                  settings_.driver == Driver::fused);
}

void DeviceExchange::dispatch_recv(int batch) {
  dispatch_phases("dispatch_recv", batch, phase_recv, whole_dispatch, settings_.driver == Driver::fused);
}

/// Only the receiving half waits, and it can be repeated: what survivors sent is there.
void DeviceExchange::combine_phases(const char* phase, int batch, unsigned launched, bool fused) {
  attempt(
      phase, batch, [&] { run_phase(Operation::combine, batch, launched, fused); },
      [&] { run_phase(Operation::combine, batch, phase_recv, fused); });
}

void DeviceExchange::combine_send(int batch) {
  combine_phases("combine_send", batch, phase_send, settings_.driver == Driver::fused);
}

void DeviceExchange::combine_recv(int batch) {
  combine_phases("combine_recv", batch, phase_recv, settings_.driver == Driver::fused);
}

void DeviceExchange::dispatch(int batch) {
  if (settings_.driver == Driver::lockstep) {
    dispatch_send(batch);
    dispatch_recv(batch);
    return;
  }
  begin_operation(batch);
  dispatch_phases("dispatch", batch, whole_dispatch, whole_dispatch, true);
}

void DeviceExchange::combine(int batch) {
  if (settings_.driver == Driver::lockstep) {
    combine_send(batch);
    combine_recv(batch);
    return;
  }
  combine_phases("combine", batch, phase_send | phase_recv, true);
}

void DeviceExchange::stop_rank(int local) {
  stopped_.add(rank_of(local));
}

std::span<const std::uint8_t> DeviceExchange::lost_ranks(int /*local*/, int batch) const {
  if (!options_.shrink) return {};
  return batches_[static_cast<std::size_t>(batch)].lost_ranks;
}

}  // namespace epskew::cuda
