#pragma once

/// Time that counts towards a timeout.

#include <algorithm>
#include <chrono>

namespace epskew::cpu {

/// The time between calls of tick(), each interval for at most `slice`: whoever ticks more often than that is
/// measured right, and a job that is stopped as a whole (Ctrl-Z, a frozen container, a suspended laptop)
/// finds no timeout passed when it goes on.
class ActiveTime {
 public:
  using Clock = std::chrono::steady_clock;

  /// Returns what counts of the time since the last call.
  Clock::duration tick() { return tick(Clock::now()); }
  Clock::duration tick(Clock::time_point now) {
    const Clock::duration counted = std::min<Clock::duration>(now - last_, slice);
    last_ = now;
    passed_ += counted;
    return counted;
  }
  Clock::duration passed() const { return passed_; }

 private:
  static constexpr std::chrono::milliseconds slice{200};
  Clock::time_point last_ = Clock::now();
  Clock::duration passed_{};
};

}  // namespace epskew::cpu
