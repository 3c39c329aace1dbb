#include "backends/cpu/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "epskew/support/error.hpp"

namespace epskew::cpu {
namespace {

[[noreturn]] void run_child(pid_t parent, int pipe, const std::function<Outcome()>& body) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);  // the parent died before the line above
  Outcome outcome;
  try {
    outcome = body();
  } catch (...) {
    outcome = outcome_of(std::current_exception());
  }
  // _exit: buffers and handlers belong to the parent.
  _exit(write_outcome(pipe, outcome) ? 0 : 1);
}

}  // namespace

RankProcess::RankProcess(const std::function<Outcome()>& body) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw_errno("pipe2");
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) {
    close(ends[0]);
    close(ends[1]);
    throw_errno("fork");
  }
  if (pid_ == 0) {
    close(ends[0]);
    run_child(parent, ends[1], body);
  }
  close(ends[1]);
  pipe_ = ends[0];
  fcntl(pipe_, F_SETFL, O_NONBLOCK);
}

RankProcess::RankProcess(RankProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pipe_(std::exchange(other.pipe_, -1)),
      bytes_(std::move(other.bytes_)),
      stopped_(other.stopped_),
      final_status_(other.final_status_) {}

RankProcess::~RankProcess() {
  if (pid_ > 0) {
    kill();
    reap();
  }
  if (pipe_ >= 0) close(pipe_);
}

bool RankProcess::drain() {
  std::array<char, 65536> buffer;
  while (pipe_ >= 0) {
    const ssize_t got = read(pipe_, buffer.data(), buffer.size());
    if (got > 0) {
      bytes_.append(buffer.data(), static_cast<std::size_t>(got));
    } else if (got < 0 && errno == EINTR) {
      continue;
    } else if (got < 0 && errno == EAGAIN) {
      return false;
    } else {
      close(std::exchange(pipe_, -1));
    }
  }
  return true;
}

void RankProcess::note_status(int status) {
  if (WIFSTOPPED(status)) {
    stopped_ = true;
  } else if (WIFCONTINUED(status)) {
    stopped_ = false;
  } else {
    final_status_ = status;
  }
}

bool RankProcess::is_stopped() {
  int status = 0;
  while (!final_status_ && waitpid(pid_, &status, WNOHANG | WUNTRACED | WCONTINUED) == pid_)
    note_status(status);
  return stopped_;
}

void RankProcess::kill() {
  if (!final_status_) ::kill(pid_, SIGKILL);
}

std::string RankProcess::reap() {
  int status = 0;
  while (!final_status_) {
    const pid_t got = waitpid(pid_, &status, 0);
    if (got == pid_) note_status(status);
    if (got < 0 && errno != EINTR) break;  // ECHILD: somebody else reaped it
  }
  pid_ = -1;
  if (final_status_ && WIFSIGNALED(*final_status_)) {
    return fmt::format("was killed by signal {}", WTERMSIG(*final_status_));
  }
  return fmt::format("exited with status {}", final_status_ ? WEXITSTATUS(*final_status_) : -1);
}

}  // namespace epskew::cpu
