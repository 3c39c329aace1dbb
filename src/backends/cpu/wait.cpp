#include "backends/cpu/wait.hpp"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

#include "backends/cpu/control.hpp"

namespace epskew::cpu {

void futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t seen, std::chrono::milliseconds limit) {
  const timespec relative{limit.count() / 1000, limit.count() % 1000 * 1'000'000};
  syscall(SYS_futex, &word, FUTEX_WAIT, seen, &relative, nullptr, 0);
}

void futex_wake(std::atomic<std::uint32_t>& word) {
  syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

void Wait::pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#else
  std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
}

void Wait::yield() {
  sched_yield();
}

std::uint32_t Wait::announce() {
  const std::uint32_t seen = me_.doorbell.load(std::memory_order_acquire);
  me_.sleeping.store(1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return seen;
}

void Wait::sleep(std::uint32_t seen) {
  constexpr std::chrono::milliseconds longest{50};  // so that a timeout is noticed even if nobody rings
  futex_wait(me_.doorbell, seen, std::min(longest, timeout_));
}

void Wait::wake() {
  me_.sleeping.store(0, std::memory_order_relaxed);
}

}  // namespace epskew::cpu
