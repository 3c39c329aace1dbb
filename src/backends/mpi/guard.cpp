#include "backends/mpi/guard.hpp"

#include <fcntl.h>
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
#include <cstdlib>
#include <cstring>

#include "backends/mpi/host.hpp"
#include "backends/mpi/left_segments.hpp"
#include "backends/mpi/lingering_launcher.hpp"
#include "epskew/support/error.hpp"
#include "epskew/support/launcher.hpp"

namespace epskew::mpi {
namespace {

constexpr int rank_lost_code = 4;
constexpr std::chrono::milliseconds look_interval{100};
constexpr std::chrono::seconds patience_after_signal{1};
/// What a launcher may take to end a job that has lost a rank; one that still has all its hosts needs a
/// second or two.
constexpr std::chrono::seconds launcher_grace{10};

/// What the worker tells its guard. The text is written before the deadline and not touched while one is set.
struct Watch {
  std::atomic<std::int64_t> deadline_ns;  ///< steady clock; 0 = none
  std::int64_t limit_ms;
  std::array<char, 240> what;
};
Watch* shared_watch = nullptr;
const LingeringLauncher* launcher = nullptr;  ///< of the guard

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

/// Tells a launcher's wrapper (tools/epskew-mpirun) how this run ended, where one wants to know: a launcher
/// that waits for a lost host never would.
void note_outcome(int code) {
  const char* file = std::getenv("EPSKEW_OUTCOME");
  if (file == nullptr) return;
  const int descriptor = open(file, O_WRONLY | O_APPEND);
  if (descriptor < 0) return;  // another host has no such file
  const std::string line = fmt::format("{}\n", code);
  [[maybe_unused]] const auto written = write(descriptor, line.data(), line.size());
  close(descriptor);
}

/// Ends the guard as its worker ended.
[[noreturn]] void leave(int code) {
  if (code != 0) {
    note_outcome(code);
    remove_left_segments();
  }
  if (code == rank_lost_code && launcher != nullptr) {
    // One after the other, so that only the first of this host has something to say.
    const auto process = launched_process();
    launcher->end_after(launcher_grace + std::chrono::milliseconds(100) * (process ? process->rank % 50 : 0));
  }
  _exit(code);
}

[[noreturn]] void end(const std::string& text, int code) {
  const std::string line = "epskew: " + text + "\n";
  // Nothing is left to do where even this fails.
  [[maybe_unused]] const auto written = write(STDERR_FILENO, line.data(), line.size());
  leave(code);
}

/// Ends the guard because somebody told it to.
[[noreturn]] void follow(int signal) {
  remove_left_segments();
  _exit(128 + signal);
}

/// The worker as its guard sees it.
struct Worker {
  pid_t pid = 0;
  bool told_to_end = false;
  std::int64_t stopped_at_ns = 0;  ///< steady clock; 0 = it runs
};

/// Exits if the worker is gone; notes whether it is stopped.
void look_at(Worker& worker) {
  int status = 0;
  while (waitpid(worker.pid, &status, WNOHANG | WUNTRACED | WCONTINUED) == worker.pid) {
    if (WIFSTOPPED(status)) {
      worker.stopped_at_ns = now_ns();
    } else if (WIFCONTINUED(status)) {
      worker.stopped_at_ns = 0;
    } else if (WIFEXITED(status)) {
      leave(WEXITSTATUS(status));
    } else {
      const int signal = WTERMSIG(status);
      if (worker.told_to_end) follow(signal);
      end(fmt::format("{} was killed by signal {} ({}); the run ends", who(worker.pid), signal,
                      strsignal(signal)),
          rank_lost_code);
    }
  }
}

/// Waits for the worker to follow a signal it was sent, then insists.
[[noreturn]] void finish(Worker& worker, int signal) {
  worker.told_to_end = true;
  kill(worker.pid, signal);
  const std::int64_t give_up = now_ns() + std::chrono::nanoseconds(patience_after_signal).count();
  while (now_ns() < give_up) {
    look_at(worker);
    usleep(1000);
  }
  kill(worker.pid, SIGKILL);
  waitpid(worker.pid, nullptr, 0);
  follow(signal);
}

[[noreturn]] void end_worker(const Worker& worker, const std::string& what) {
  kill(worker.pid, SIGKILL);
  waitpid(worker.pid, nullptr, 0);
  end(fmt::format("{} {}; the run ends", who(worker.pid), what), rank_lost_code);
}

void look_at_deadline(const Worker& worker) {
  const std::int64_t deadline = shared_watch->deadline_ns.load(std::memory_order_acquire);
  if (deadline == 0 || now_ns() < deadline) return;
  end_worker(worker, fmt::format("{}: no end after {:.1f} s", shared_watch->what.data(),
                                 static_cast<double>(shared_watch->limit_ms) * 1e-3));
}

/// A stopped process cannot be asked where it is, and inside MPI_Init nobody could ask.
void look_at_stop(const Worker& worker, std::chrono::milliseconds limit) {
  if (worker.stopped_at_ns == 0) return;
  if (now_ns() < worker.stopped_at_ns + std::chrono::nanoseconds(limit).count()) return;
  end_worker(worker, fmt::format("was stopped by a signal and not continued for {:.1f} s",
                                 static_cast<double>(limit.count()) * 1e-3));
}

[[noreturn]] void guard(pid_t pid, std::chrono::milliseconds stop_limit) {
  const LingeringLauncher parent;
  launcher = &parent;
  const sigset_t signals = guarded_signals();
  const timespec interval{0, std::chrono::nanoseconds(look_interval).count()};
  Worker worker{pid};
  while (true) {
    const int signal = sigtimedwait(&signals, nullptr, &interval);
    if (signal > 0 && signal != SIGCHLD) finish(worker, signal);
    look_at(worker);
    look_at_deadline(worker);
    look_at_stop(worker, stop_limit);
  }
}

}  // namespace

void start_guard(std::chrono::milliseconds stop_limit) {
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
    guard(worker, stop_limit);
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
