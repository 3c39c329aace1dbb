#include "epskew/workload/spec_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "epskew/routing/footprint.hpp"
#include "epskew/support/error.hpp"
#include "epskew/support/memory.hpp"

namespace epskew {
namespace {

void check_experts(const WorkloadSpec& spec) {
  if (spec.num_ranks() < 1) throw UsageError("no ranks to route to (0 given); ask for 1 or more");
  if (spec.num_experts < 1 || spec.num_experts % spec.num_ranks() != 0) {
    throw UsageError(
        fmt::format("--num-experts {} does not divide among {} ranks (each rank holds as many); choose a "
                    "multiple of {}",
                    spec.num_experts, spec.num_ranks(), spec.num_ranks()));
  }
  if (spec.topk < 1 || spec.topk > spec.num_experts) {
    throw UsageError(
        fmt::format("--num-topk {} is out of range (a token's experts are distinct, there are {}); choose "
                    "1 to {}",
                    spec.topk, spec.num_experts, std::min(spec.num_experts, 255)));
  }
  if (spec.topk > std::numeric_limits<std::uint8_t>::max()) {
    throw UsageError(fmt::format(
        "--num-topk {} is out of range (the generator counts to 255); choose 1 to 255", spec.topk));
  }
  if (spec.num_masked < 0) {
    throw UsageError(
        fmt::format("--num-masked {} is negative (it counts entries); choose 0 or more", spec.num_masked));
  }
  if (spec.hot_rank && (*spec.hot_rank < 0 || *spec.hot_rank >= spec.num_ranks())) {
    throw UsageError(fmt::format("--hot-rank {} does not exist (there are {} ranks); choose 0 to {}",
                                 *spec.hot_rank, spec.num_ranks(), spec.num_ranks() - 1));
  }
}

void check_groups(const WorkloadSpec& spec) {
  if (spec.num_groups < 1 || spec.num_experts % spec.num_groups != 0) {
    throw UsageError(
        fmt::format("--num-groups {} does not divide {} experts (groups are of one size); choose a divisor",
                    spec.num_groups, spec.num_experts));
  }
  if (spec.topk_groups < 1 || spec.topk_groups > spec.num_groups) {
    throw UsageError(fmt::format("--num-topk-groups {} is out of range (there are {} groups); choose 1 to {}",
                                 spec.topk_groups, spec.num_groups, spec.num_groups));
  }
  const int reachable = spec.topk_groups * (spec.num_experts / spec.num_groups);
  if (spec.topk > reachable) {
    throw UsageError(
        fmt::format("--num-topk {} is out of reach ({} groups of {} experts hold {}); choose {} or less, or "
                    "more groups",
                    spec.topk, spec.topk_groups, spec.num_experts / spec.num_groups, reachable, reachable));
  }
}

void check_size(const WorkloadSpec& spec) {
  std::int64_t tokens = 0;
  for (std::size_t rank = 0; rank < spec.tokens_per_rank.size(); ++rank) {
    if (spec.tokens_per_rank[rank] < 0) {
      throw UsageError(fmt::format("rank {} has {} tokens (a count cannot be negative); choose 0 or more",
                                   rank, spec.tokens_per_rank[rank]));
    }
    tokens += spec.tokens_per_rank[rank];
  }
  constexpr double working_bytes_per_token = 8.0;
  constexpr double working_bytes_per_expert = 16.0;
  const auto all_tokens = static_cast<double>(tokens);
  const double bytes = table_bytes(all_tokens, spec.topk) + working_bytes_per_token * all_tokens +
                       working_bytes_per_expert * spec.num_experts + pair_counts_bytes(spec.num_ranks());
  require_memory(
      bytes, fmt::format("a routing of {} tokens, top-{}, on {} ranks", tokens, spec.topk, spec.num_ranks()),
      "choose fewer tokens or ranks");
  if (tokens > std::numeric_limits<std::int32_t>::max()) {
    throw UsageError(
        fmt::format("{} tokens are too many (they are numbered to 2147483647); choose fewer", tokens));
  }
}

void check_law(const WorkloadSpec& spec) {
  if (spec.factor && spec.shape) {
    throw UsageError(
        "both an imbalance factor and a shape are given (either decides the other); leave one out");
  }
  if (spec.shape && !(std::isfinite(*spec.shape) && *spec.shape > 0.0)) {
    throw UsageError(
        fmt::format("the shape {} of {} is out of range (it must be positive and finite); choose another",
                    *spec.shape, name_of(spec.family)));
  }
  const bool loads = std::all_of(spec.curve.begin(), spec.curve.end(),
                                 [](double load) { return std::isfinite(load) && load >= 0.0; });
  if (!spec.curve.empty() &&
      !(loads && spec.curve.back() > 0.0 && std::is_sorted(spec.curve.begin(), spec.curve.end()))) {
    throw UsageError(
        "the recorded curve is no law (it must ascend from 0 or more and not be all zero); mend it");
  }
}

bool speaks_of_nodes(const WorkloadSpec& spec) {
  return spec.imbalance_level == ImbalanceLevel::node || spec.pattern == Pattern::skew_in_nodes ||
         spec.pattern == Pattern::skew_across_nodes;
}

void check_nodes(const WorkloadSpec& spec) {
  if (spec.ranks_per_node < 0 || (spec.ranks_per_node > 0 && spec.num_ranks() % spec.ranks_per_node != 0)) {
    throw UsageError(
        fmt::format("--ranks-per-node {} does not divide {} ranks (nodes are of one size); choose a divisor",
                    spec.ranks_per_node, spec.num_ranks()));
  }
  if (!speaks_of_nodes(spec)) return;
  if (spec.ranks_per_node == 0) {
    throw UsageError(
        "imbalance over nodes is asked for, but not which ranks share a node (no launcher says it here); "
        "give "
        "--ranks-per-node");
  }
  const bool rotates = spec.pattern == Pattern::rotating || spec.pattern == Pattern::burst ||
                       spec.pattern == Pattern::k_hot || spec.pattern == Pattern::matrix;
  if (spec.level == LawLevel::expert || spec.sampling == Sampling::multinomial || rotates ||
      (spec.pattern == Pattern::skew_in_nodes && spec.imbalance_level == ImbalanceLevel::node)) {
    throw UsageError(
        "imbalance over nodes goes with exact laws over ranks and with the patterns hot-rank, skew-in-nodes "
        "and "
        "skew-across-nodes only (the others decide what ranks get); leave one of the flags out");
  }
}

}  // namespace

void check_shape(const WorkloadSpec& spec) {
  check_experts(spec);
  check_groups(spec);
  check_size(spec);
  check_law(spec);
  check_nodes(spec);
}

}  // namespace epskew
