#pragma once

/// The record of a run, put together while its visits come in: by run_session for epskew's own exchanges, and
/// by whoever times another library on the same plan.

#include <optional>
#include <string>
#include <vector>

#include "epskew/report/session.hpp"

namespace epskew {

/// Who exchanged.
struct Runner {
  std::string backend;                              ///< the name in tables and comparisons
  std::vector<std::string> facts;                   ///< "library: version" lines
  WorldFacts world;                                 ///< where the ranks ran, as far as it is known
  std::optional<ClockRecord> clock = std::nullopt;  ///< unset: what `facts` say, else steady_clock
};

class Recording {
 public:
  /// `plan` is valid, and borrowed until finish().
  Recording(const SessionPlan& plan, const Runner& runner);

  /// So far: provenance and configuration, and the rounds whose last visit was added.
  const Record& record() const { return record_; }
  Record& record() { return record_; }
  /// Adds what a visit measured; visits come in the order of visits_of. `oracle` holds the verdicts before
  /// and after its timing; of a round's verdicts the first that is not "passed" is kept. The round's record,
  /// without its cost of imbalance, where this was its last visit; valid until the next call. `copies` unset:
  /// those of Runner::world.
  const RoundRecord* add(const Visit& visit, RoundResult result, const OracleRecord& oracle,
                         std::optional<WireCopies> copies = std::nullopt);
  /// `choices`: more facts, known at the end.
  Record finish(const std::vector<std::string>& choices) &&;

 private:
  const SessionPlan& plan_;
  ExchangeOptions options_;
  std::optional<WireCopies> copies_;
  Record record_;
  std::vector<RoundResult> results_;    ///< by round of the plan
  std::vector<OracleRecord> verdicts_;  ///< by round of the plan
};

}  // namespace epskew
