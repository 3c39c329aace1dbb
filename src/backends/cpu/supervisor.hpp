#pragma once

/// Collects the outcomes of all rank processes, or says who was lost.

#include <chrono>
#include <string>
#include <vector>

#include "backends/cpu/control.hpp"
#include "backends/cpu/process.hpp"

namespace epskew::cpu {

class Supervisor {
 public:
  /// Both borrowed. `timeout`: how long a process may be stopped.
  Supervisor(std::vector<RankProcess>& processes, const Control& control, std::chrono::milliseconds timeout);

  /// All reports by rank; throws the first failure. No process is left in either case.
  std::vector<std::string> collect();

 private:
  enum class State { running, ended, died };
  struct Rank {
    State state = State::running;
    Outcome outcome;
    std::string fate;  ///< died: how, and in which phase
  };
  bool all_ended() const;
  void poll_once();
  void listen(int rank);
  void look_for_stopped();
  void declare_dead(int rank, std::string how);
  void end_run();
  void kill_stragglers();
  void throw_failure() const;
  std::string describe_waiters() const;
  std::string last_seen(int rank) const;

  std::vector<RankProcess>& processes_;
  const Control& control_;
  std::chrono::milliseconds timeout_;
  std::vector<Rank> ranks_;
  std::optional<RankProcess::Clock::time_point> end_of_grace_;
};

}  // namespace epskew::cpu
