#pragma once

/// How the ranks of a run come to life: as processes started here, as processes of an MPI job, or all in this
/// process.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "epskew/exchange/exchange.hpp"

namespace epskew {

/// What every process of the world does: runs against its part of the exchange and returns a report (opaque
/// bytes).
using RankBody = std::function<std::string(Exchange&)>;

/// A rank that was left out, and what is known about it.
struct LostRank {
  int rank = 0;
  std::string how;           ///< "was killed by signal 9"
  std::string where;         ///< "combine_send of micro-batch 0"
  double seconds = 0;        ///< since the run began
  std::vector<int> waiters;  ///< ranks that waited for it in vain
};

/// One way between two hosts, measured before the run.
struct LinkSpeed {
  int from = 0;           ///< node
  int to = 0;             ///< node
  double latency_us = 0;  ///< half of a round trip of an empty message
  double gb_per_s = 0;    ///< of long messages, one way
};

/// A world whose time is computed by a simulator.
struct Simulation {
  std::string simulator;        ///< name and version
  std::string platform;         ///< the machine that is described to it
  bool payload_folded = false;  ///< rows share memory and hold no data, so no oracle can look at them
};

/// What a backend copies once from a rank to another one.
enum class Copies {
  selections,  ///< a row for each (token, expert)
  messages,    ///< a row for each (token, distinct destination rank)
  uncounted    ///< neither; ranks pass on what is not theirs, for example
};
/// The same for the two halves of an operation.
struct WireCopies {
  Copies dispatch = Copies::selections;
  Copies combine = Copies::selections;
};

/// Where the ranks of a world run and what is between them.
struct WorldFacts {
  std::vector<std::string> hosts;    ///< [nodes]; a node is a set of ranks that share memory
  std::vector<int> node_of_rank;     ///< [R]; empty for a world that knows of one machine only
  std::vector<std::string> cores;    ///< [R] cores a rank may run on, as "0-3,8"
  std::vector<int> sockets;          ///< [R] socket of the first of them; -1 where unknown
  std::vector<LinkSpeed> links;      ///< every pair of nodes, from < to
  std::vector<std::string> choices;  ///< what the backend decided by itself, a sentence each
  /// Variants that the backend chose where the user left it the choice, by name.
  std::map<std::string, std::string> variants;
  std::optional<Simulation> simulation;  ///< none: times are measured
  /// Of the way that the latest operation went. Unset: messages where a variant is dispatch=dedup or
  /// combine=prereduce, else selections.
  std::optional<WireCopies> copies;
  int num_devices = 0;  ///< accelerators that the ranks run on; 0: they run on none
};

class World {
 public:
  virtual ~World() = default;
  /// True in the process that prints and writes files.
  virtual bool is_root() const = 0;
  /// Runs `body` once in every process of the world, collectively. At the root: the reports in order of the
  /// processes' lowest rank; elsewhere empty. An exception in one process ends the run everywhere and is
  /// rethrown at the root with its type (UsageError, WrongResult, RankLost, EnvironmentError). A process that
  /// dies or hangs becomes RankLost.
  virtual std::vector<std::string> run(const RankBody& body) = 0;
  /// With ExchangeOptions::shrink: the ranks lost in the latest run, in the order of their loss. Their
  /// reports are empty.
  virtual std::vector<LostRank> lost_ranks() const { return {}; }
  /// Collective: throws UsageError in every process, naming one, unless all give the same `value`; `what`
  /// names it in the message. A world whose processes are copies of one need not look.
  virtual void require_same(const std::string& /*what*/, const std::string& /*value*/) {}
  /// Collective; complete at the root. Links are measured once, before the first run.
  virtual WorldFacts facts() { return {}; }
};

}  // namespace epskew
