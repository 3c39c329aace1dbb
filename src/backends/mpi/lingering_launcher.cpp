#include "backends/mpi/lingering_launcher.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>

namespace epskew::mpi {
namespace {

/// The program of a process, without its folder; empty where it cannot be told.
std::string program_of(pid_t pid) {
  std::array<char, PATH_MAX> path{};
  const auto length = readlink(fmt::format("/proc/{}/exe", pid).c_str(), path.data(), path.size());
  if (length <= 0) return {};
  const std::string_view whole(path.data(), static_cast<std::size_t>(length));
  return std::string(whole.substr(whole.rfind('/') + 1));
}

/// orterun of Open MPI up to 4, prterun from 5 on; their daemons have other names.
bool is_mpirun(std::string_view program) {
  return program.starts_with("orterun") || program.starts_with("prterun") || program.starts_with("mpirun");
}

/// Not this process's own: that is a pipe which mpirun reads, and it would wait for its end.
void tell(pid_t launcher, const std::string& text) {
  const int descriptor =
      open(fmt::format("/proc/{}/fd/2", launcher).c_str(), O_WRONLY | O_APPEND | O_NOCTTY | O_NONBLOCK);
  if (descriptor < 0) return;
  const std::string line = "epskew: " + text + "\n";
  [[maybe_unused]] const auto written = write(descriptor, line.data(), line.size());
  close(descriptor);
}

void wait_and_end(pid_t launcher, int handle, std::chrono::milliseconds grace) {
  pollfd ended{handle, POLLIN, 0};
  if (poll(&ended, 1, static_cast<int>(grace.count())) != 0) return;
  tell(launcher, fmt::format("the job has ended with exit code 4, its launcher (pid {}) has not (a host is "
                             "lost?); ending it",
                             launcher));
  // Asked to end (SIGTERM) it waits on, or crashes.
  syscall(SYS_pidfd_send_signal, handle, SIGKILL, nullptr, 0);
}

}  // namespace

LingeringLauncher::LingeringLauncher() : pid_(getppid()) {
  handle_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  // Still the parent, so the handle is of the process that started this one.
  if (handle_ >= 0 && getppid() == pid_ && is_mpirun(program_of(pid_))) return;
  if (handle_ >= 0) close(handle_);
  handle_ = -1;
}

LingeringLauncher::~LingeringLauncher() {
  if (handle_ >= 0) close(handle_);
}

void LingeringLauncher::end_after(std::chrono::milliseconds grace) const {
  if (handle_ < 0 || std::getenv("EPSKEW_OUTCOME") != nullptr) return;
  if (fork() != 0) return;
  setsid();
  // mpirun waits for the ends of its pipes, and whoever else shares a descriptor may do so too.
  for (int descriptor = 0; descriptor < handle_; ++descriptor) close(descriptor);
  close_range(static_cast<unsigned>(handle_) + 1, ~0U, 0);
  wait_and_end(pid_, handle_, grace);
  _exit(0);
}

}  // namespace epskew::mpi
