#include "epskew/exchange/exchange.hpp"

#include <chrono>

#include "epskew/support/error.hpp"

namespace epskew {
namespace {

using Clock = std::chrono::steady_clock;

/// Runs one phase call and returns its length in microseconds.
template <class Call>
double time_us(Call&& call) {
  const auto start = Clock::now();
  call();
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

}  // namespace

void Exchange::dispatch(int batch) {
  dispatch_send(batch);
  dispatch_recv(batch);
}

void Exchange::combine(int batch) {
  combine_send(batch);
  combine_recv(batch);
}

void Exchange::stop_rank(int /*local*/) {
  throw UsageError(
      "--shrink-test cannot stop one of several ranks in a process of this backend; use --backend cpu");
}

std::int64_t Exchange::earliest(std::int64_t mine_ns) {
  return mine_ns;
}

void Exchange::measure(TimingMode mode, std::span<IterationSample> samples) {
  IterationSample sample;
  const auto record = [&](Phase phase, double us) { sample.us[static_cast<std::size_t>(phase)] = us; };
  align();
  const std::int64_t start =
      std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
  switch (mode) {
    case TimingMode::pair:
      record(Phase::dispatch_combine, time_us([&] {
               dispatch(0);
               combine(0);
             }));
      break;
    case TimingMode::fused:
      record(Phase::dispatch, time_us([&] { dispatch(0); }));
      align();
      record(Phase::combine, time_us([&] { combine(0); }));
      break;
    case TimingMode::split:
      record(Phase::dispatch_send, time_us([&] { dispatch_send(0); }));
      align();
      record(Phase::dispatch_recv, time_us([&] { dispatch_recv(0); }));
      align();
      record(Phase::combine_send, time_us([&] { combine_send(0); }));
      align();
      record(Phase::combine_recv, time_us([&] { combine_recv(0); }));
      break;
  }
  sample.misalignment_us = static_cast<double>(start - earliest(start)) * 1e-3;
  for (IterationSample& out : samples) out = sample;
}

}  // namespace epskew
