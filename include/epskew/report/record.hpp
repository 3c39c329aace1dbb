#pragma once

/// Everything a benchmark run has to say. Tables, JSON, CSV and the HTML page are rendered from this and
/// nothing else.
///
/// Members carry the names of their JSON fields; schema/README.md describes the file. A std::optional that is
/// empty is `null` in the file: it was not measured. Times are microseconds, sizes bytes, rates 1e9 bytes per
/// second.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "epskew/exchange/phase.hpp"
#include "epskew/measure/samples.hpp"
#include "epskew/measure/statistics.hpp"
#include "epskew/routing/load.hpp"

namespace epskew {

/// The version of the file format; its rules are in schema/README.md.
inline constexpr const char* record_schema_version = "1.5.0";

struct ToolRecord {
  std::string name = "epskew";
  std::string version;
};

struct HostRecord {
  std::string name;
  std::string system;             ///< operating system, kernel release and architecture
  std::int64_t memory_bytes = 0;  ///< installed memory
};

struct CpuRecord {
  std::string model;
  int logical_cores = 0;       ///< usable by this process (its affinity mask)
  std::int64_t llc_bytes = 0;  ///< all last-level caches of the machine together
};

struct BuildRecord {
  std::string compiler;
  std::string flags;
  std::string type;                   ///< CMake build type
  std::optional<std::string> commit;  ///< of the source tree, "-dirty" appended for local changes
};

struct ClockRecord {
  std::string source;
  std::optional<double> resolution_ns;  ///< smallest step seen between two readings
};

struct ConfigRecord {
  int num_ranks = 0;
  int num_experts = 0;
  int topk = 0;
  int hidden = 0;
  int max_tokens = 0;
  std::vector<std::int32_t> tokens_per_rank;  ///< as asked for; a replayed trace may differ by round
  std::string dispatch_format;
  std::string combine_format;
  std::string backend;
  std::map<std::string, std::string> variants;
  std::vector<std::string> backend_facts;  ///< "library: version" lines of the backend
  int micro_batches = 1;
  std::int64_t timeout_ms = 0;
  int iterations = 0;  ///< timed, per timing mode
  int warmup = 0;      ///< untimed before them, per timing mode and pass
  int passes = 1;      ///< the iterations of every round were taken in so many turns, see pass_begin
  bool flush_cache = false;
  std::int64_t flush_bytes =
      0;  ///< written by all processes together before an iteration; 0: nothing flushed
  ClockRecord clock;
  std::string distribution;
  std::vector<double> imbalance_factors;  ///< as asked for
  int num_masked = 0;
  std::optional<int>
      ranks_per_node;  ///< node_load is of so many consecutive ranks each; none: of topology's nodes
  std::uint64_t seed = 0;
  std::optional<std::string> trace;  ///< the recording that was replayed
};

/// One way between two nodes, measured before the run.
struct LinkRecord {
  int from = 0;
  int to = 0;
  double latency_us = 0;
  double gb_per_s = 0;
};

/// Where the ranks ran; a node is a set of ranks that share memory.
struct TopologyRecord {
  std::vector<std::string> hosts;  ///< [nodes]
  std::vector<int> node_of_rank;   ///< [num_ranks]
  std::vector<std::string> cores;  ///< [num_ranks] cores that the rank could run on, as "0-3,8"
  std::vector<int> sockets;        ///< [num_ranks] socket of the first of them; -1: unknown
  std::vector<LinkRecord> links;   ///< every pair of nodes
};

/// Fewer GPUs than ranks: one played several of them, and no measured time holds a link between GPUs.
struct EmulationRecord {
  int num_devices = 0;
  int num_ranks = 0;
};

/// Times that a simulator computed for a described machine: none of them was measured.
struct SimulationRecord {
  std::string simulator;        ///< name and version
  std::string platform;         ///< the described machine
  bool payload_folded = false;  ///< rows held no data, so the oracle did not look (oracle is null)
};

/// What the link model of every round assumes.
struct LinkAssumptionRecord {
  double gb_per_s = 0;  ///< of one direction of one rank's link
  std::string source;   ///< where that number is from
};

/// A computed time, never a measured one: bytes of the busiest link direction / assumed bandwidth.
struct LinkTimeRecord {
  std::int64_t bytes = 0;  ///< that enter or leave the rank for which this is most, per operation
  double us = 0;
};

struct WorkloadRecord {
  std::string distribution;
  std::map<std::string, double> parameters;
  std::uint64_t seed = 0;
  std::string digest;  ///< of the routing table, see digest.hpp
  double feasible_max = 0;
  double uniform_floor = 0;
};

struct OracleRecord {
  std::optional<std::string> before;  ///< "passed" or what was wrong
  std::optional<std::string> after;
};

/// One phase. Empty samples never occur: a phase that was not measured has no PhaseRecord.
struct PhaseRecord {
  SampleMatrix samples_us;  ///< in the file [iterations][num_ranks]
  Summary slowest_rank;     ///< of the maxima over ranks, one per iteration: the headline
  Summary hot_rank;         ///< of the times of load.rank.hot
  struct PerRank {          ///< each [num_ranks], over iterations
    std::vector<double> mean, min, max;
  } per_rank;
  struct OverRanks {  ///< of per_rank.mean
    double mean = 0, min = 0, max = 0;
  } over_ranks;
  std::vector<std::int64_t> times_slowest;  ///< [num_ranks] iterations in which the rank was the slowest
};

struct RateRecord {
  std::int64_t bytes = 0;          ///< the numerator, per operation
  std::optional<double> gb_per_s;  ///< bytes / slowest_rank.p50 of the phase
};

/// Bandwidth by what it counts, each by phase name: dispatch, combine, dispatch_combine. See bandwidth.hpp.
struct BandwidthRecord {
  std::map<std::string, RateRecord> send_logical;
  std::map<std::string, RateRecord> hot_receive;
  std::map<std::string, RateRecord> wire;
  std::map<std::string, std::string>
      wire_basis;  ///< what `wire` counts in "dispatch" and "combine": "selections", "messages" or "none"
};

/// Slowest-rank p50 over that of the balanced round, with its 95 % interval; of dispatch_combine.
struct CostRecord {
  double ratio = 1;
  double low = 1;
  double high = 1;
  std::string reference;                        ///< label of the balanced round
  std::map<std::string, RatioInterval> phases;  ///< the same by phase name
};

struct MemoryRecord {
  std::vector<std::int64_t> reserved_bytes;  ///< [num_ranks]
  std::vector<std::int64_t> touched_bytes;   ///< [num_ranks]
  /// [num_ranks] received rows and expert outputs where peers do not reach them; empty where they are counted
  /// above.
  std::vector<std::int64_t> tensor_bytes;
};

struct MisalignmentRecord {
  SampleMatrix
      samples_us;  ///< [iterations of all timing modes in their order][num_ranks], start minus first start
  Summary max_over_ranks;
};

struct RoundRecord {
  std::string label;                    ///< "uniform", "1.0", "3.0", "layer 7 window 0", …
  std::optional<double> target_factor;  ///< none for uniform and replayed rounds
  std::string imbalance_level =
      "rank";  ///< "rank" or "node": what target_factor and the workload's bounds are over
  WorkloadRecord workload;
  RoutingLoad load;
  OracleRecord oracle;
  std::array<std::optional<PhaseRecord>, num_phases> timing;  ///< by Phase; in the file by its name
  /// By Phase; in the file by its name. Durations of the library's kernels alone, without launch and waiting
  /// on the host, where something saw them. Iterations of its own.
  std::array<std::optional<PhaseRecord>, num_phases> kernel_timing;
  BandwidthRecord bandwidth;
  std::optional<CostRecord>
      cost_of_imbalance;  ///< none for the balanced round itself, or without enough samples
  /// By phase name, as CostRecord::phases: where dispatch_combine was not measured, and so has no cost.
  std::map<std::string, RatioInterval> phase_costs;
  std::optional<MemoryRecord> memory;
  std::optional<MisalignmentRecord> misalignment;
  std::optional<LoadMetrics> node_load;  ///< selections per node; none where all ranks share one
  /// By phase: dispatch, combine, dispatch_combine (the sum of both). Empty without Record::link_assumption.
  std::map<std::string, LinkTimeRecord> link_model;

  /// The cost of imbalance of one phase; nullptr where there is none.
  const RatioInterval* cost_of(Phase which) const;
  const std::optional<PhaseRecord>& phase(Phase which) const {
    return timing[static_cast<std::size_t>(which)];
  }
  const std::optional<PhaseRecord>& kernels(Phase which) const {
    return kernel_timing[static_cast<std::size_t>(which)];
  }
};

struct Record {
  std::string schema_version = record_schema_version;
  ToolRecord tool;
  std::string command;
  std::vector<std::string> argv;
  std::string created;  ///< UTC, ISO 8601, e.g. 2026-11-24T07:30:00Z
  HostRecord host;
  CpuRecord cpu;
  std::vector<std::string> gpu;                  ///< one line a device; empty: none seen
  std::optional<std::string> driver;             ///< of the GPUs
  std::map<std::string, std::string> libraries;  ///< name → version
  BuildRecord build;
  ConfigRecord config;
  std::optional<TopologyRecord> topology;  ///< none for a backend of one machine
  std::optional<EmulationRecord>
      emulation;  ///< none where every rank had a processor of its own or none is known
  std::optional<SimulationRecord> simulation;           ///< none: times were measured
  std::optional<LinkAssumptionRecord> link_assumption;  ///< none: no link model was asked for
  std::vector<RoundRecord> rounds;
};

/// The node of every rank, [num_ranks], numbered from 0; empty where nothing is known of nodes.
std::vector<int> nodes_of(const Record& record);
/// The round that the others are held against, the first with a target factor of 1.0; nullptr without one.
const RoundRecord* balanced_round(const std::vector<RoundRecord>& rounds);
/// What target_factor asks for as it turned out: the imbalance factor over ranks, or over nodes.
double realised_factor(const RoundRecord& round);

}  // namespace epskew
