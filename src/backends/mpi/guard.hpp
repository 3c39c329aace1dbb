#pragma once

/// A process that watches over a worker: what ends a run within its timeout where the worker itself no longer
/// can.
///
/// start_guard() forks before MPI starts. The child goes on as the worker; the parent, the process that the
/// launcher knows, waits for it and passes its exit code on. A worker that was killed becomes a line naming
/// it and exit code 4 (a launcher reports such a death itself, but with the signal's code), and so does one
/// that stays in a watched call past its limit, or is stopped (SIGSTOP) and not continued in time. If the
/// guard is killed, the kernel kills the worker. A guard that ends a failed job removes what Open MPI leaves
/// in /dev/shm (left_segments.hpp), and sees to it that mpirun ends too (lingering_launcher.hpp).

#include <chrono>
#include <string>

namespace epskew::mpi {

/// `stop_limit`: how long the worker may be stopped. Only the first call counts.
void start_guard(std::chrono::milliseconds stop_limit);

/// A call that MPI may never return from: while this lives, the guard ends the worker once `limit` has
/// passed, saying
/// "<who> <what>: no end after <limit>". Watched calls do not nest. Without a guard it does nothing.
class Watched {
 public:
  Watched(const std::string& what, std::chrono::milliseconds limit);
  ~Watched();
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;
};

}  // namespace epskew::mpi
