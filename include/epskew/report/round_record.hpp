#pragma once

/// From what a round measured to what its record says.

#include <optional>
#include <string>
#include <vector>

#include "epskew/exchange/shape.hpp"
#include "epskew/exchange/world.hpp"
#include "epskew/measure/round.hpp"
#include "epskew/report/record.hpp"
#include "epskew/workload/generate.hpp"

namespace epskew {

/// A round to be run.
struct PlannedRound {
  std::string label;
  std::optional<double> target_factor;  ///< none for uniform and replayed rounds
  Workload workload;
};

/// All reductions of one phase. nullopt for an empty matrix.
std::optional<PhaseRecord> reduce_phase(const SampleMatrix& samples, int hot_rank);

/// Everything but the cost of imbalance, which needs the other rounds. `result` comes from run_round, so the
/// oracle agreed; `copies` as in WorldFacts, after it.
RoundRecord make_round_record(const PlannedRound& planned, const RoundResult& result, int hidden,
                              const ExchangeOptions& options, std::optional<WireCopies> copies);

/// Fills node_load; nothing where all ranks share one node. `node_of_rank` [num_ranks], nodes numbered from
/// 0.
void add_node_load(RoundRecord& round, const std::vector<int>& node_of_rank);

/// Fills cost_of_imbalance, or phase_costs where dispatch_combine was not measured, of every round but the
/// first with target_factor 1, to which the others are compared. `passes` is config.passes, `seed` that of
/// the resamples behind the intervals.
void add_costs(std::vector<RoundRecord>& rounds, int passes, std::uint64_t seed);

}  // namespace epskew
