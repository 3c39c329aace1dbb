#pragma once

/// Keeps a rank on a core of its own.

#include <memory>
#include <string>

namespace epskew::cpu {

class Pinning {
 public:
  /// Reads the machine. Throws EnvironmentError.
  Pinning();
  ~Pinning();
  Pinning(const Pinning&) = delete;
  Pinning& operator=(const Pinning&) = delete;

  int num_cores() const;
  /// Binds this process to core `rank`, if there is one for each of `num_ranks`; else leaves the choice to
  /// the scheduler: ranks that share cores must be able to move to the one that is idle.
  void pin(int rank, int num_ranks) const;
  static std::string library_version();

 private:
  struct Topology;
  std::unique_ptr<Topology> topology_;
};

}  // namespace epskew::cpu
