#include "backends/mpi/guard.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "backends/mpi/host.hpp"
#include "epskew/support/error.hpp"
#include "epskew/support/launcher.hpp"

namespace epskew::mpi {
namespace {

constexpr int rank_lost_code = 4;
constexpr std::chrono::milliseconds look_interval{100};
constexpr std::chrono::seconds patience_after_signal{1};

/// What the worker tells its guard. The text is written before the deadline and not touched while one is set.
struct Watch {
  std::atomic<std::int64_t> deadline_ns;  ///< steady clock; 0 = none
  std::int64_t limit_ms;
  std::array<char, 240> what;
};
Watch* shared_watch = nullptr;

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

sigset_t guarded_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT}) sigaddset(&set, signal);
  return set;
}

std::string who(pid_t worker) {
  const auto process = launched_process();
  return fmt::format("rank {} on {} (pid {})", process ? process->rank : 0, host_name(), worker);
}

[[noreturn]] void end(const std::string& text, int code) {
  const std::string line = "epskew: " + text + "\n";
  // Nothing is left to do where even this fails.
  [[maybe_unused]] const auto written = write(STDERR_FILENO, line.data(), line.size());
  _exit(code);
}

/// Exits if the worker is gone.
void reap(pid_t worker, bool told_to_end) {
  int status = 0;
  if (waitpid(worker, &status, WNOHANG) != worker) return;
  if (WIFEXITED(status)) _exit(WEXITSTATUS(status));
  const int signal = WTERMSIG(status);
  if (told_to_end) _exit(128 + signal);
  end(fmt::format("{} was killed by signal {} ({}); the run ends", who(worker), signal, strsignal(signal)),
      rank_lost_code);
}

/// Waits for the worker to follow a signal it was sent, then insists.
[[noreturn]] void finish(pid_t worker, int signal) {
  kill(worker, signal);
  const std::int64_t give_up = now_ns() + std::chrono::nanoseconds(patience_after_signal).count();
  while (now_ns() < give_up) {
    reap(worker, true);
    usleep(1000);
  }
  kill(worker, SIGKILL);
  waitpid(worker, nullptr, 0);
  _exit(128 + signal);
}

void look_at_deadline(pid_t worker) {
  const std::int64_t deadline = shared_watch->deadline_ns.load(std::memory_order_acquire);
  if (deadline == 0 || now_ns() < deadline) return;
  const std::string text =
      fmt::format("{} {}: no end after {:.1f} s; the run ends", who(worker), shared_watch->what.data(),
                  static_cast<double>(shared_watch->limit_ms) * 1e-3);
  kill(worker, SIGKILL);
  waitpid(worker, nullptr, 0);
  end(text, rank_lost_code);
}

[[noreturn]] void guard(pid_t worker) {
  const sigset_t signals = guarded_signals();
  const timespec interval{0, std::chrono::nanoseconds(look_interval).count()};
  while (true) {
    const int signal = sigtimedwait(&signals, nullptr, &interval);
    if (signal > 0 && signal != SIGCHLD) finish(worker, signal);
    reap(worker, false);
    look_at_deadline(worker);
  }
}

}  // namespace

void start_guard() {
  if (shared_watch != nullptr) return;
  void* page = mmap(nullptr, sizeof(Watch), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) throw_errno("mmap");
  shared_watch = new (page) Watch{};
  std::fflush(nullptr);  // or both processes would write what is buffered
  const sigset_t signals = guarded_signals();
  sigset_t before;
  sigprocmask(SIG_BLOCK, &signals, &before);
  const pid_t parent = getpid();
  const pid_t worker = fork();
  if (worker < 0) throw_errno("fork");
  if (worker > 0) {
    prctl(PR_SET_NAME, "epskew-guard");
    guard(worker);
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(rank_lost_code);
  sigprocmask(SIG_SETMASK, &before, nullptr);
}

Watched::Watched(const std::string& what, std::chrono::milliseconds limit) {
  if (shared_watch == nullptr) return;
  const auto length = std::min(what.size(), shared_watch->what.size() - 1);
  std::memcpy(shared_watch->what.data(), what.data(), length);
  shared_watch->what[length] = '\0';
  shared_watch->limit_ms = limit.count();
  shared_watch->deadline_ns.store(now_ns() + std::chrono::nanoseconds(limit).count(),
                                  std::memory_order_release);
}

Watched::~Watched() {
  if (shared_watch != nullptr) shared_watch->deadline_ns.store(0, std::memory_order_release);
}

}  // namespace epskew::mpi
