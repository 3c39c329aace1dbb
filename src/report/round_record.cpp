#include "epskew/report/round_record.hpp"

#include <algorithm>

#include "epskew/report/bandwidth.hpp"
#include "epskew/routing/digest.hpp"
#include "epskew/routing/load.hpp"

namespace epskew {
namespace {

PhaseRecord::PerRank reduce_ranks(const SampleMatrix& samples) {
  PhaseRecord::PerRank per_rank;
  for (int rank = 0; rank < samples.num_ranks; ++rank) {
    const Summary summary = summarise(times_of_rank(samples, rank));
    per_rank.mean.push_back(*summary.mean);
    per_rank.min.push_back(*summary.min);
    per_rank.max.push_back(*summary.max);
  }
  return per_rank;
}

MemoryRecord memory_of(const std::vector<MemoryUse>& ranks) {
  MemoryRecord record;
  for (const MemoryUse& use : ranks) {
    record.reserved_bytes.push_back(use.reserved);
    record.touched_bytes.push_back(use.touched);
    if (use.tensors != 0) record.tensor_bytes.push_back(use.tensors);
  }
  return record;
}

/// How the costs of a run are made.
struct CostBasis {
  int passes = 1;
  std::uint64_t seed = 0;
};

std::optional<RatioInterval> cost_of_phase(const RoundRecord& round, const RoundRecord& balanced, Phase phase,
                                           CostBasis basis) {
  const auto& mine = round.phase(phase);
  const auto& reference = balanced.phase(phase);
  if (!mine || !reference) return std::nullopt;
  const std::vector<double> top = slowest_rank(mine->samples_us);
  const std::vector<double> bottom = slowest_rank(reference->samples_us);
  return ratio_of_quantiles({top, basis.passes}, {bottom, basis.passes}, 0.5, PassPairing::same_run,
                            basis.seed);
}

void add_cost(RoundRecord& round, const RoundRecord& balanced, CostBasis basis) {
  std::map<std::string, RatioInterval> phases;
  for (const Phase phase : all_phases()) {
    if (const auto ratio = cost_of_phase(round, balanced, phase, basis))
      phases[std::string(name_of(phase))] = *ratio;
  }
  const auto whole = phases.find(std::string(name_of(Phase::dispatch_combine)));
  if (whole == phases.end()) {
    round.phase_costs = std::move(phases);
    return;
  }
  const RatioInterval headline = whole->second;
  round.cost_of_imbalance =
      CostRecord{headline.ratio, headline.low, headline.high, balanced.label, std::move(phases)};
}

}  // namespace

const RatioInterval* RoundRecord::cost_of(Phase which) const {
  const auto& phases = cost_of_imbalance ? cost_of_imbalance->phases : phase_costs;
  const auto found = phases.find(std::string(name_of(which)));
  return found == phases.end() ? nullptr : &found->second;
}

std::optional<PhaseRecord> reduce_phase(const SampleMatrix& samples, int hot_rank) {
  if (samples.us.empty()) return std::nullopt;
  PhaseRecord record;
  record.samples_us = samples;
  record.slowest_rank = summarise(slowest_rank(samples));
  record.hot_rank = summarise(times_of_rank(samples, hot_rank));
  record.per_rank = reduce_ranks(samples);
  const Summary over_ranks = summarise(record.per_rank.mean);
  record.over_ranks = {*over_ranks.mean, *over_ranks.min, *over_ranks.max};
  record.times_slowest = times_slowest(samples);
  return record;
}

RoundRecord make_round_record(const PlannedRound& planned, const RoundResult& result, int hidden,
                              const ExchangeOptions& options, std::optional<WireCopies> copies) {
  const Workload& workload = planned.workload;
  RoundRecord record;
  record.label = planned.label;
  record.target_factor = planned.target_factor;
  record.imbalance_level = workload.imbalance_level == ImbalanceLevel::node ? "node" : "rank";
  record.workload = {workload.distribution,  workload.parameters,   workload.seed,
                     digest(workload.table), workload.feasible_max, workload.uniform_floor};
  record.load = count_load(workload.table);
  record.oracle = {"passed", "passed"};
  for (const Phase phase : all_phases()) {
    const auto index = static_cast<std::size_t>(phase);
    record.timing[index] = reduce_phase(result.phases[index], record.load.rank.hot);
    record.kernel_timing[index] = reduce_phase(result.kernels[index], record.load.rank.hot);
  }
  record.bandwidth = bandwidth_of(record.load, record.timing, hidden, options, copies);
  if (!result.memory.empty()) record.memory = memory_of(result.memory);
  if (!result.misalignment.us.empty()) {
    record.misalignment =
        MisalignmentRecord{result.misalignment, summarise(slowest_rank(result.misalignment))};
  }
  return record;
}

std::vector<int> nodes_of(const Record& record) {
  if (record.config.ranks_per_node) {
    std::vector<int> nodes(static_cast<std::size_t>(record.config.num_ranks));
    for (std::size_t rank = 0; rank < nodes.size(); ++rank)
      nodes[rank] = static_cast<int>(rank) / *record.config.ranks_per_node;
    return nodes;
  }
  return record.topology ? record.topology->node_of_rank : std::vector<int>{};
}

double realised_factor(const RoundRecord& round) {
  return round.imbalance_level == "node" && round.node_load ? round.node_load->factor
                                                            : round.load.rank.factor;
}

void add_node_load(RoundRecord& round, const std::vector<int>& node_of_rank) {
  const int nodes = *std::max_element(node_of_rank.begin(), node_of_rank.end()) + 1;
  if (nodes == 1) return;
  std::vector<std::int64_t> loads(static_cast<std::size_t>(nodes), 0);
  for (std::size_t rank = 0; rank < node_of_rank.size(); ++rank) {
    loads[static_cast<std::size_t>(node_of_rank[rank])] += round.load.rank.loads[rank];
  }
  round.node_load = measure_loads(loads);
}

void add_costs(std::vector<RoundRecord>& rounds, int passes, std::uint64_t seed) {
  const RoundRecord* const balanced = balanced_round(rounds);
  if (balanced == nullptr) return;
  for (RoundRecord& round : rounds) {
    if (&round != balanced) add_cost(round, *balanced, {passes, seed});
  }
}

const RoundRecord* balanced_round(const std::vector<RoundRecord>& rounds) {
  const auto found = std::find_if(rounds.begin(), rounds.end(),
                                  [](const RoundRecord& round) { return round.target_factor == 1.0; });
  return found == rounds.end() ? nullptr : &*found;
}

}  // namespace epskew
