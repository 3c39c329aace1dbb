#pragma once

/// How the ranks of a run come to life: as processes started here, as processes of an MPI job, or all in this process.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "epskew/exchange/exchange.hpp"

namespace epskew {

/// What every process of the world does: runs against its part of the exchange and returns a report (opaque bytes).
using RankBody = std::function<std::string(Exchange&)>;

/// A rank that was left out, and what is known about it.
struct LostRank {
  int rank = 0;
  std::string how;           ///< "was killed by signal 9"
  std::string where;         ///< "combine_send of micro-batch 0"
  double seconds = 0;        ///< since the run began
  std::vector<int> waiters;  ///< ranks that waited for it in vain
};

class World {
 public:
  virtual ~World() = default;
  /// True in the process that prints and writes files.
  virtual bool is_root() const = 0;
  /// Runs `body` once in every process of the world, collectively. At the root: the reports in order of the processes'
  /// lowest rank; elsewhere empty. An exception in one process ends the run everywhere and is rethrown at the root with
  /// its type (UsageError, WrongResult, RankLost, EnvironmentError). A process that dies or hangs becomes RankLost.
  virtual std::vector<std::string> run(const RankBody& body) = 0;
  /// With ExchangeOptions::shrink: the ranks lost in the latest run, in the order of their loss. Their reports are empty.
  virtual std::vector<LostRank> lost_ranks() const { return {}; }
};

}  // namespace epskew
