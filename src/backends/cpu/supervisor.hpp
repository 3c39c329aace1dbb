#pragma once

/// Collects the outcomes of all rank processes, or says who was lost.

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "backends/cpu/control.hpp"
#include "backends/cpu/process.hpp"
#include "epskew/exchange/world.hpp"

namespace epskew::cpu {

class Supervisor {
 public:
  /// All borrowed. options.timeout: how long a process may be stopped; options.shrink: whether the others go
  /// on.
  Supervisor(std::vector<RankProcess>& processes, const Control& control, const ExchangeOptions& options);

  /// All reports by rank; throws the first failure. No process is left in either case.
  std::vector<std::string> collect();
  /// With shrink: who was lost, in the order of loss.
  std::vector<LostRank> lost_ranks() const;

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
  void look_at_suspects();
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
  RankProcess::Clock::time_point start_ = RankProcess::Clock::now();
  std::vector<Rank> ranks_;
  std::vector<LostRank> lost_;
  std::optional<RankProcess::Clock::time_point> end_of_grace_;
};

}  // namespace epskew::cpu
