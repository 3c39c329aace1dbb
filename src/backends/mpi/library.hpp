#pragma once

/// The MPI library in this process: started once, ended once, its errors as exceptions.

#include <mpi.h>

#include <string>

namespace epskew::mpi {

/// Throws EnvironmentError "<call> failed: <MPI's text>" unless `code` is MPI_SUCCESS.
void check(int code, const char* call);

class Library {
 public:
  /// Starts MPI at first use, with a guard process where this object starts it (see guard.hpp). Throws
  /// EnvironmentError.
  static Library& instance();

  int rank() const { return rank_; }
  int size() const { return size_; }
  /// The job cannot end in an orderly way any more: exit leaves MPI alone instead of waiting for lost
  /// processes.
  void mark_broken() { broken_ = true; }
  bool broken() const { return broken_; }

  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

 private:
  Library();
  ~Library();

  bool owned_ = false;
  bool broken_ = false;
  int rank_ = 0;
  int size_ = 1;
};

/// "Open MPI v4.1.4, …", one line.
std::string library_version();

}  // namespace epskew::mpi
