#pragma once

/// One rank process: forked, listened to, reaped.

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "backends/cpu/outcome.hpp"

namespace epskew::cpu {

class RankProcess {
 public:
  using Clock = std::chrono::steady_clock;

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

  /// Notices whether the process was stopped (SIGSTOP), and since when.
  std::optional<Clock::time_point> stopped_since();
  void kill();
  /// Waits for its end: "exited with status 3", "was killed by signal 9".
  std::string reap();

 private:
  void note_status(int status);
  pid_t pid_ = -1;
  int pipe_ = -1;
  std::string bytes_;
  std::optional<Clock::time_point> stopped_;
  std::optional<int> final_status_;
};

}  // namespace epskew::cpu
