#pragma once

/// What a user asks for: everything that determines a routing, and nothing else.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "epskew/routing/placement.hpp"
#include "epskew/workload/family.hpp"

namespace epskew {

/// Where the law applies: to rank loads (the top rank is exact, the others follow the curve) or to expert
/// loads.
enum class LawLevel { rank, expert };
/// What the factor is exact over (and, with LawLevel::rank, what the family's curve runs over). node: the
/// largest node's load / the mean node's; inside a node the ranks are equal.
enum class ImbalanceLevel { rank, node };
/// exact: constructed to the target. multinomial: drawn as DeepEP #393 draws, with its natural noise.
enum class Sampling { exact, multinomial };

/// Shapes that are not a family's curve.
enum class Pattern {
  none,      ///< the family decides
  hot_rank,  ///< one rank at the factor, all others equal
  k_hot,     ///< hot_experts experts receive hot_fraction of the selections
  rotating,  ///< as hot_rank, the hot rank moves by one with every step
  burst,     ///< balanced, but every burst_period-th step is hot_rank
  matrix,    ///< an explicit source × destination matrix of selections
  /// Balanced across nodes, skewed inside them: in every node one rank is at the factor, the others are
  /// equal. What cost DeepEP half its speed (its issue #343).
  skew_in_nodes,
  skew_across_nodes  ///< the opposite: one node at the factor, the others equal, and ranks inside a node
                     ///< equal
};

struct WorkloadSpec {
  int num_experts = 288;
  int topk = 8;
  std::vector<std::int32_t> tokens_per_rank = std::vector<std::int32_t>(8, 128);  ///< [R]
  Family family = Family::lognormal;
  /// The law's shape, instead of `factor`: the routing follows it and the factor is what comes out.
  std::optional<double> shape;
  /// A recorded law instead of a family: relative loads, ascending, at (i - 1/2) / m. Resampled to the number
  /// of ranks or experts, and with a factor bent to it by a power. Empty: the family decides. See
  /// law_file.hpp.
  std::vector<double> curve;
  std::string curve_name;  ///< what records call the curve's family
  /// Target imbalance factor over ranks, exact after masking. Unset, and no shape, curve or pattern set:
  /// experts drawn uniformly at random.
  std::optional<double> factor;
  LawLevel level = LawLevel::rank;
  ImbalanceLevel imbalance_level = ImbalanceLevel::rank;
  /// Consecutive ranks that share a node; 0: unknown. Needed by whatever speaks of nodes; divides the ranks.
  int ranks_per_node = 0;
  Sampling sampling = Sampling::exact;
  /// Expert level only: where the law's experts live.
  std::optional<Placement> placement;
  int num_masked = 0;           ///< entries set to -1 on every rank (all of them where it has fewer)
  int num_groups = 1;           ///< expert groups of group-limited top-k
  int topk_groups = 1;          ///< groups a token may touch
  std::optional<int> hot_rank;  ///< unset: chosen by the seed
  Pattern pattern = Pattern::none;
  int hot_experts = 32;              ///< k_hot
  double hot_fraction = 0.9;         ///< k_hot
  int step = 0;                      ///< rotating, burst
  int burst_period = 8;              ///< burst
  std::vector<std::int64_t> matrix;  ///< matrix: [R source][R destination] selections
  std::uint64_t seed = 0;

  int num_ranks() const { return static_cast<int>(tokens_per_rank.size()); }
  /// Precondition: ranks_per_node is known.
  int num_nodes() const { return num_ranks() / ranks_per_node; }
};

}  // namespace epskew
