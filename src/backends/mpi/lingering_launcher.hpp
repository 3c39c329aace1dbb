#pragma once

/// What ends Open MPI's mpirun where it would go on waiting for its daemon on a lost host.

#include <chrono>

namespace epskew::mpi {

/// The mpirun that started this process itself, if one did: its parent is Open MPI's launcher, which then
/// runs on this host. A daemon that serves several jobs, another launcher, or a shell in between is none.
class LingeringLauncher {
 public:
  /// To be made early: the process that is held is the one that is the parent now, whatever its number means
  /// later.
  LingeringLauncher();
  ~LingeringLauncher();
  LingeringLauncher(const LingeringLauncher&) = delete;
  LingeringLauncher& operator=(const LingeringLauncher&) = delete;

  /// Leaves a process behind that ends the launcher, with a line on its standard error, if it still runs
  /// after `grace`. Does nothing under tools/epskew-mpirun, which ends it with the job's exit code.
  void end_after(std::chrono::milliseconds grace) const;

 private:
  int pid_ = 0;
  int handle_ = -1;  ///< pidfd; -1 = none
};

}  // namespace epskew::mpi
