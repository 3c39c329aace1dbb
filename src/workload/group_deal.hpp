#pragma once

#include <cstdint>
#include <span>

#include "epskew/workload/spec.hpp"
#include "workload/deal.hpp"

namespace epskew {

inline bool limits_groups(const WorkloadSpec& spec) {
  return spec.topk_groups < spec.num_groups;
}

/// Experts of rank `rank` that one token can reach: those in the topk_groups groups that overlap it most.
int reachable_experts(const WorkloadSpec& spec, int rank);

/// deal, with every token's experts in at most topk_groups of the spec's expert groups. False where it found
/// no such routing; the rows are then undefined. It looks for one in which every group is visited by enough
/// tokens to take its most selected expert and its total; where the groups' totals and largest experts leave
/// no such visits there is none.
///
/// (1) Groups are dealt to tokens, a visit each, in numbers that follow the groups' totals. (2) Every visit
/// gets a quota near total / visits, so that tokens and groups add up; what rounding leaves is moved along
/// paths of tokens. (3) Inside each group the experts are dealt to its visitors.
bool deal_grouped(const Rows& rows, const WorkloadSpec& spec, std::span<const std::int64_t> expert_counts,
                  std::uint64_t seed);

}  // namespace epskew
