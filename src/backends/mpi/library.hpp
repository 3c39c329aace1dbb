#pragma once

/// The MPI library in this process: started once, ended once, its errors as exceptions.

#include <mpi.h>

#include <chrono>
#include <string>

namespace epskew::mpi {

/// Throws EnvironmentError "<call> failed: <MPI's text>" unless `code` is MPI_SUCCESS.
void check(int code, const char* call);

class Library {
 public:
  /// Starts MPI at first use, with a guard process where this object starts it (see guard.hpp). `timeout`,
  /// of which only the first counts: how long one wait may take; starting and ending, which involve the
  /// launcher on every host, get 20 s more. Throws EnvironmentError.
  static Library& instance(std::chrono::milliseconds timeout = std::chrono::seconds(30));

  int rank() const { return rank_; }
  int size() const { return size_; }
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
};

/// "Open MPI v4.1.4, …", one line.
std::string library_version();

}  // namespace epskew::mpi
