#pragma once

/// One rank process: forked, listened to, reaped.

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>

#include "backends/cpu/outcome.hpp"

namespace epskew::cpu {

class RankProcess {
 public:
  /// Forks; the child runs `body`, sends its outcome and leaves through _exit. It dies with its parent.
  /// Throws EnvironmentError.
  explicit RankProcess(const std::function<Outcome()>& body);
  RankProcess(RankProcess&& other) noexcept;
  RankProcess& operator=(RankProcess&&) = delete;
  RankProcess(const RankProcess&) = delete;
  RankProcess& operator=(const RankProcess&) = delete;
  /// Kills and reaps what is still there.
  ~RankProcess();

  /// To be polled for input; -1 once the process has closed it.
  int pipe() const { return pipe_; }
  pid_t pid() const { return pid_; }
  /// Reads what there is. True once the process has closed its end.
  bool drain();
  /// The outcome, where one arrived whole.
  std::optional<Outcome> outcome() const { return decode_outcome(bytes_); }

  /// Whether the process is stopped (SIGSTOP) at the moment.
  bool is_stopped();
  void kill();
  /// Waits for its end: "exited with status 3", "was killed by signal 9".
  std::string reap();

 private:
  void note_status(int status);
  pid_t pid_ = -1;
  int pipe_ = -1;
  std::string bytes_;
  bool stopped_ = false;
  std::optional<int> final_status_;
};

}  // namespace epskew::cpu
