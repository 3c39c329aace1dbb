#pragma once

/// Collects the outcomes of all rank processes, or says who was lost.

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "backends/cpu/active_time.hpp"
#include "backends/cpu/control.hpp"
#include "backends/cpu/process.hpp"
#include "epskew/exchange/world.hpp"

namespace epskew::cpu {

class Supervisor {
 public:
  /// All borrowed. options.timeout: how long a process may be stopped; options.shrink: whether the others go
  /// on.
  Supervisor(std::vector<RankProcess>& processes, const Control& control, const ExchangeOptions& options);

  /// Until no process is left.
  void wait_for_all();
  /// All reports by rank; throws the first failure.
  std::vector<std::string> take_reports();
  /// With shrink: who was lost, in the order of loss.
  std::vector<LostRank> lost_ranks() const;

 private:
  using Duration = ActiveTime::Clock::duration;
  enum class State { running, ended, died };
  struct Rank {
    State state = State::running;
    Outcome outcome;
    std::string fate;  ///< died: how, and in which phase
    std::uint32_t progress = 0;
    Duration stuck{};        ///< since it last made progress or waited for others
    Duration stopped{};      ///< since it was stopped
    bool suspected = false;  ///< somebody waited for it in vain, and it has not moved since
  };
  bool all_ended() const;
  void poll_once();
  void listen(int rank);
  void watch();
  void observe(int rank, Duration elapsed);
  void judge(int rank);
  void end_by_force(int rank, std::string how);
  void declare_dead(int rank, std::string how);
  void end_run();
  void kill_stragglers();
  void throw_failure() const;
  std::string describe_waiters() const;
  std::string last_seen(int rank) const;

  std::vector<RankProcess>& processes_;
  const Control& control_;
  const ExchangeOptions& options_;
  ActiveTime::Clock::time_point start_ = ActiveTime::Clock::now();
  ActiveTime active_;
  std::vector<Rank> ranks_;
  std::vector<LostRank> lost_;
  std::optional<Duration> end_of_grace_;  ///< in active time
  std::optional<Outcome> finding_;        ///< what a rank found wrong before any was lost
};

}  // namespace epskew::cpu
