#pragma once

/// The MPI library in this process: started once, ended once, its errors as exceptions.

#include <mpi.h>

#include <chrono>
#include <string>

namespace epskew::mpi {

/// Throws EnvironmentError "<call> failed: <MPI's text>" unless `code` is MPI_SUCCESS.
void check(int code, const char* call);

/// Waits without a limit of its own (see Watched), giving way to other processes: MPICH's own waits keep the
/// core for as long as the system lets them, so that with more ranks than cores everybody waits for whom they
/// keep out.
void wait_politely(MPI_Request& request);
/// A copy of a communicator, collective, with errors returned; the caller frees it.
MPI_Comm duplicate(MPI_Comm comm);

class Library {
 public:
  /// Starts MPI at first use, with a guard process where this object starts it (see guard.hpp). `timeout`,
  /// of which only the first counts: how long one wait may take; starting and ending, which involve the
  /// launcher on every host, get 20 s more. Throws EnvironmentError.
  static Library& instance(std::chrono::milliseconds timeout = std::chrono::seconds(30));

  int rank() const { return rank_; }
  int size() const { return size_; }
  /// The processes that share this one's memory. Collective at first use; stays until the end.
  MPI_Comm machine();
  /// The job cannot end in an orderly way any more: exit leaves MPI alone instead of waiting for lost
  /// processes.
  void mark_broken() { broken_ = true; }
  bool broken() const { return broken_; }

  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

 private:
  explicit Library(std::chrono::milliseconds timeout);
  ~Library();

  std::chrono::milliseconds limit_;  ///< of starting and of ending
  bool owned_ = false;
  bool broken_ = false;
  int rank_ = 0;
  int size_ = 1;
  MPI_Comm machine_ = MPI_COMM_NULL;
};

/// "Open MPI v4.1.4, …", one line.
std::string library_version();

}  // namespace epskew::mpi
