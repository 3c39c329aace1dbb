#pragma once

/// How a rank waits for others: briefly spinning, then yielding, then asleep.
///
/// With more ranks than cores the awaited rank may need this very core: a pure spin would hold it for a whole
/// time slice (4 ms measured), a yield costs 1 µs, a wake-up from the futex 10 to 25 µs. So: spin 1 µs, yield
/// for 100 µs, sleep.

#include <atomic>
#include <chrono>
#include <cstdint>

#include "backends/cpu/active_time.hpp"

namespace epskew::cpu {

struct RankControl;

enum class WaitResult { ready, aborted, timed_out };

/// Sleeps while `word` is `seen`, at most `limit`; may return early.
void futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t seen, std::chrono::milliseconds limit);
void futex_wake(std::atomic<std::uint32_t>& word);

/// One wait of one rank. Call step() as long as the condition does not hold.
class Wait {
 public:
  using Clock = std::chrono::steady_clock;

  Wait(RankControl& me, const std::atomic<std::uint32_t>& abort, std::chrono::milliseconds timeout)
      : me_(me), abort_(abort), timeout_(timeout) {}

  template <class Ready>
  WaitResult until(Ready&& ready) {
    for (int i = 0; i < spins; ++i) {
      if (ready()) return WaitResult::ready;
      pause();
    }
    ActiveTime waited;
    while (true) {
      if (ready()) return WaitResult::ready;
      if (abort_.load(std::memory_order_relaxed) != 0) return WaitResult::aborted;
      waited.tick();
      if (waited.passed() > timeout_) return WaitResult::timed_out;
      if (waited.passed() < yield_time) {
        yield();
      } else if (doze(ready)) {
        return WaitResult::ready;
      }
    }
  }

 private:
  static constexpr int spins = 30;
  static constexpr std::chrono::microseconds yield_time{100};
  static void pause();
  static void yield();

  /// Announces the sleep, looks once more, sleeps.
  template <class Ready>
  bool doze(Ready&& ready) {
    const std::uint32_t seen = announce();
    const bool now = ready();
    if (!now && abort_.load(std::memory_order_relaxed) == 0) sleep(seen);
    wake();
    return now;
  }
  std::uint32_t announce();
  void sleep(std::uint32_t seen);
  void wake();

  RankControl& me_;
  const std::atomic<std::uint32_t>& abort_;
  std::chrono::milliseconds timeout_;
};

}  // namespace epskew::cpu
