#pragma once

/// The flags that say what is routed, shared by `gen`, `bench` and `inspect`: one set of names, defaults and
/// checks.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "epskew/workload/spec.hpp"

namespace epskew::app {

/// As given on the command line; unset where the user said nothing. Defaults are those of DeepEP's test.
struct WorkloadFlags {
  std::string model;
  std::optional<std::int64_t> num_processes;
  std::optional<std::int64_t> num_tokens;
  std::vector<std::int64_t> num_tokens_per_rank;
  std::optional<std::int64_t> hidden;
  std::optional<std::int64_t> num_topk;
  std::optional<std::int64_t> num_experts;
  std::optional<std::int64_t> num_groups;
  std::optional<std::int64_t> num_topk_groups;
  std::optional<std::string> distribution;
  std::string law;
  std::optional<std::string> law_level;
  std::string imbalance_level = "rank";
  std::optional<std::int64_t> ranks_per_node;
  std::optional<std::string> placement;
  std::string sampling = "exact";
  std::int64_t num_masked = 10;
  std::optional<std::int64_t> hot_rank;
  std::string pattern = "none";
  std::int64_t hot_experts = 32;
  double hot_fraction = 0.9;
  std::int64_t step = 0;
  std::int64_t burst_period = 8;
  std::string matrix;
  std::uint64_t seed = 0;
};

/// Ranks, tokens, experts and the rest of the shape: from the flag where given, else from --model, else the
/// default (8 ranks of 128 tokens, top-8 of 288 experts, hidden 7168).
struct Shape {
  std::vector<std::int32_t> tokens_per_rank;  ///< [R]
  int num_experts = 0;
  int topk = 0;
  int hidden = 0;
  int num_groups = 1;
  int topk_groups = 1;

  int num_ranks() const { return static_cast<int>(tokens_per_rank.size()); }
};

/// Adds every flag of WorkloadFlags to `command`. `flags` must live until the command line is parsed.
void add_workload_flags(CLI::App& command, WorkloadFlags& flags);

/// Throws UsageError for what no routing can have: counts out of range, experts that do not divide among the
/// ranks, more experts a token than there are, more tokens than memory holds (with the bytes needed).
Shape shape_of(const WorkloadFlags& flags);

/// --hidden, that of --model, or the default. Throws UsageError unless it is a positive multiple of 128, the
/// channels of one FP8 scale.
int checked_hidden(const WorkloadFlags& flags);

/// The placement that --placement names (contiguous where unset), for `num_experts` experts.
Placement placement_of(const WorkloadFlags& flags, int num_experts, int num_ranks);

/// Consecutive ranks that share a node: --ranks-per-node, else as many as an MPI launcher started on this
/// node, else 0 for unknown. A launcher's number that does not divide the ranks counts as unknown.
int ranks_per_node_of(const WorkloadFlags& flags, int num_ranks);

/// What the flags ask for at one imbalance factor; unset: uniform random routing, or the law's or pattern's
/// own shape. Throws UsageError as shape_of does, and for unknown names, flags that contradict each other and
/// a factor below 1.
WorkloadSpec to_spec(const WorkloadFlags& flags, std::optional<double> factor);

}  // namespace epskew::app
