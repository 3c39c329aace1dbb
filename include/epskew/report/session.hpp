#pragma once

/// A whole run: rounds in order on one world, ending in a Record. What `epskew bench` and the Python package
/// do.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "epskew/backends/registry.hpp"
#include "epskew/measure/round.hpp"
#include "epskew/report/record.hpp"
#include "epskew/report/round_record.hpp"
#include "epskew/workload/spec.hpp"

namespace epskew {

/// "1.0", "2.25": the shortest text that is the factor, with at least one decimal.
std::string factor_label(double factor);

/// The two rounds that every run starts with, for the shape of `spec` and its masking: experts drawn
/// uniformly ("uniform"), then exactly balanced ("1.0"), whatever law `spec` has.
std::vector<PlannedRound> base_rounds(const WorkloadSpec& spec);

/// base_rounds, then one round for each of `factors` other than 1; without factors, one for a spec that
/// decides its loads itself (a law with a shape, k-hot experts, a matrix), named after its distribution.
/// Patterns with steps (rotating, burst) have `steps` rounds a factor, of spec.step and the steps after it,
/// labelled "3.0 step 7"; the target of a burst's cold step is 1 ("3.0 step 6 cold"). Throws UsageError where
/// a factor cannot be reached, stands there twice or meets loads that k-hot or a matrix decides, before
/// anything has run.
std::vector<PlannedRound> plan_rounds(const WorkloadSpec& spec, std::span<const double> factors,
                                      int steps = 1);

struct SessionPlan {
  std::string command = "bench";
  std::vector<std::string> argv;
  std::vector<PlannedRound> rounds;  ///< not empty; all of one number of ranks, experts and top-k
  int hidden = 7168;
  ExchangeOptions options;
  RoundPlan round;  ///< for all visits of a round together; its label is set for each round
  /// Every round is visited so often, each time for a share of its iterations, in rotated order: drift of the
  /// machine then hits all rounds alike instead of looking like a cost. Not more than round.iterations.
  int passes = 1;
  std::string distribution;     ///< as asked for
  std::vector<double> factors;  ///< as asked for
  int num_masked = 0;
  /// Loads by node are of so many consecutive ranks each; 0: of the nodes that the world knows, if any.
  int ranks_per_node = 0;
  std::optional<std::string> trace;  ///< the recording that is replayed
  /// Bandwidth that the link model assumes, 1e9 bytes a second in one direction of a rank's link. None: that
  /// of NVLink on an H200 where the ranks run on accelerators, else no model.
  std::optional<double> link_gb_per_s;
};

/// What a caller may want to see on the way; only called at the root.
struct SessionObserver {
  std::function<void(const Record&)> started;  ///< provenance and configuration, no rounds
  std::function<void(const std::string&, std::size_t, std::size_t)>
      visit_started;  ///< label, index, number of visits of all rounds
  std::function<void(const RoundRecord&)>
      round_finished;  ///< in order of the plan, without its cost of imbalance
};

/// The shape that holds every round of the plan.
ExchangeShape shape_of(const SessionPlan& plan);

/// Throws UsageError for a plan without rounds, rounds that do not fit one exchange, or more passes than
/// iterations.
void validate(const SessionPlan& plan);

/// A turn of one round.
struct Visit {
  std::size_t round = 0;  ///< index into SessionPlan::rounds
  int pass = 0;
  RoundPlan plan;
};
/// All of them in the order in which they are made; that of the last pass is the plan's, so that results come
/// in it.
std::vector<Visit> visits_of(const SessionPlan& plan);

/// Collective over the backend's world. nullopt where this process is not the root. Throws UsageError before
/// a resource is touched where the backend cannot run the plan; WrongResult, RankLost and EnvironmentError as
/// run_round does.
std::optional<Record> run_session(const Backend& backend, const SessionPlan& plan,
                                  const SessionObserver& observer);

}  // namespace epskew
