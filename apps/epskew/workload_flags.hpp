#pragma once

/// The flags that say what is routed, shared by `gen`, `bench` and `inspect`: one set of names, defaults and
/// checks.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "epskew/workload/model_shapes.hpp"
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
  std::optional<std::int64_t> num_masked;
  std::optional<std::int64_t> hot_rank;
  std::string pattern = "none";
  std::optional<std::int64_t> hot_experts;
  std::optional<double> hot_fraction;
  std::optional<std::int64_t> step;
  std::optional<std::int64_t> burst_period;
  std::string matrix;
  std::uint64_t seed = 0;
};

/// Adds every flag of WorkloadFlags to `command`. `flags` must live until the command line is parsed.
void add_workload_flags(CLI::App& command, WorkloadFlags& flags);

/// --seed: any number of 64 bits; a negative one is refused.
CLI::Option* add_seed(CLI::App& command, std::uint64_t& seed, const char* help);

/// The published shape that --model names, or the default (top-8 of 288 experts, hidden 7168). Throws
/// UsageError for an unknown name, with the known ones.
ModelShape model_of(const WorkloadFlags& flags);

/// [R]: the tokens of every rank, 128 on each of 8 where the flags do not say.
std::vector<std::int32_t> tokens_of(const WorkloadFlags& flags);

/// --num-topk, that of --model, or the default.
int topk_of(const WorkloadFlags& flags);

/// --hidden, that of --model, or the default. Throws UsageError unless it is a positive multiple of 128, the
/// channels of one FP8 scale.
int checked_hidden(const WorkloadFlags& flags);

/// The placement that --placement names (contiguous where unset), for `num_experts` experts.
Placement placement_of(const WorkloadFlags& flags, int num_experts, int num_ranks);

/// Consecutive ranks that share a node: --ranks-per-node, else as many as an MPI launcher started on this
/// node, else 0 for unknown. A launcher's number that does not divide the ranks counts as unknown.
int ranks_per_node_of(const WorkloadFlags& flags, int num_ranks);

/// What the flags ask for at one imbalance factor; unset: uniform random routing, or the law's or pattern's
/// own shape. Throws UsageError for unknown names, a factor below 1, flags that contradict each other or have
/// no effect together, and as check_shape does.
WorkloadSpec to_spec(const WorkloadFlags& flags, std::optional<double> factor);

/// Throws UsageError where a flag that shapes the loads is given but nothing asks for a shape: no factor, law
/// or pattern. For commands that make one routing.
void refuse_unused_law_flags(const WorkloadFlags& flags, bool has_factor);

}  // namespace epskew::app
