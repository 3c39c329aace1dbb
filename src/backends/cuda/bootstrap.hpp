#pragma once

/// How the processes of a job on one machine find each other and agree: a Unix socket on which rank 0
/// listens, every other rank connected to it. Only for setting up, barriers of the split driver and reports;
/// no token passes here.

#include <chrono>
#include <string>
#include <vector>

#include "backends/cuda/job.hpp"

namespace epskew::cuda {

class Bootstrap {
 public:
  /// Collective: returns when all processes are connected. Throws RankLost naming who did not come, and
  /// UsageError for a job with processes on other machines.
  Bootstrap(const Job& job, std::chrono::milliseconds timeout);
  Bootstrap(const Bootstrap&) = delete;
  Bootstrap& operator=(const Bootstrap&) = delete;
  ~Bootstrap();

  int rank() const { return job_.rank; }
  int size() const { return job_.size; }
  const Job& job() const { return job_; }

  /// Collective: what every rank gave, by rank. `what` names the step in messages. Throws RankLost where a
  /// process ended or does not come within the timeout, and the failure of a process that failed, with its
  /// type.
  std::vector<std::string> all_gather(const std::string& mine, const std::string& what);
  void barrier(const std::string& what) { all_gather("", what); }
  /// Tells the others, in place of this process's next part, that the exception being handled ended it.
  void fail_with_current_exception() noexcept;

 private:
  void close_all();
  void listen_and_accept();
  void connect_to_root();
  std::vector<std::string> gather_as_root(const std::string& mine, const std::string& what);
  void tell_all(const std::string& frame) noexcept;

  Job job_;
  std::chrono::milliseconds timeout_;
  int listener_ = -1;
  std::vector<int> sockets_;  ///< root: by rank, own -1; else only the root's
  bool broken_ = false;
};

}  // namespace epskew::cuda
