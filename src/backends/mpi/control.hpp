#pragma once

/// How the processes of a job wait for each other without ever waiting for ever.
///
/// All waiting goes through one loop, which tests a condition (that drives MPI's progress), answers other
/// processes' questions and notices a failure reported by any of them. When a wait runs out of time, the
/// process asks all others where they are: who does not answer, or is behind, is the culprit.

#include <mpi.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "backends/mpi/failure.hpp"

namespace epskew::mpi {

/// Where a process is. All processes take the same steps in the same order, so the sequence tells who is
/// behind.
struct Position {
  std::int64_t sequence = 0;
  char step[24] = "start";
};

class Control {
 public:
  /// Collective over `world`, which is borrowed.
  Control(MPI_Comm world, std::chrono::milliseconds timeout);
  /// Collective, unless the library is marked broken.
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  /// This process begins its next step; `step` is at most 23 characters.
  void enter(const char* step);

  /// Returns once `ready()` holds, which should call MPI. Throws RankLost after the timeout, or what another
  /// process reported.
  template <class Ready>
  void wait(Ready&& ready) {
    Idle idle;
    while (!ready()) relax(idle);
  }
  void wait(MPI_Request& request);
  void wait_all(std::vector<MPI_Request>& requests);

  /// Tells every other process of a failure; does not wait long for them.
  void announce(const Failure& failure);
  /// Waits until the root has announced a failure itself, at most the timeout. Not for a root that did not
  /// say where it is when this process gave up waiting.
  void await_root();

  std::chrono::milliseconds timeout() const { return timeout_; }
  int rank() const { return rank_; }
  int size() const { return size_; }
  /// "rank 3 (host-b, pid 77)".
  std::string name_of(int rank) const;
  const std::vector<std::string>& hosts() const { return hosts_; }  ///< [size]

 private:
  using Clock = std::chrono::steady_clock;
  struct Idle {
    int rounds = 0;
    Clock::time_point start;
  };
  void relax(Idle& idle);
  /// Handles one control message, if there is one. Throws what a failure message carries.
  void serve();
  void send(int to, int tag, const void* data, std::size_t bytes);
  void drop_finished_sends();
  [[noreturn]] void give_up(Clock::duration waited);
  void ask_all(Clock::time_point until);
  std::string culprits() const;
  std::string list(const std::vector<int>& ranks) const;
  void learn_names();

  struct Outgoing {
    std::vector<char> bytes;
    MPI_Request request = MPI_REQUEST_NULL;
  };

  MPI_Comm comm_ = MPI_COMM_NULL;
  std::chrono::milliseconds timeout_;
  int rank_ = 0;
  int size_ = 1;
  Position position_;
  std::vector<std::string> hosts_;
  std::vector<std::int64_t> pids_;
  std::vector<std::optional<Position>> answers_;  ///< [size], of the question being asked
  std::deque<Outgoing> outgoing_;                 ///< a deque: buffers must not move
  bool root_announced_ = false;
};

}  // namespace epskew::mpi
