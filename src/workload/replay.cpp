#include "epskew/workload/replay.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "epskew/support/error.hpp"
#include "epskew/workload/spec_check.hpp"
#include "workload/apportion.hpp"
#include "workload/capacity.hpp"
#include "workload/deal.hpp"
#include "workload/rows.hpp"

namespace epskew {
namespace {

WorkloadSpec spec_of(const std::vector<std::int32_t>& tokens_per_rank, int topk,
                     std::span<const std::int64_t> counts, std::uint64_t seed) {
  WorkloadSpec spec;
  spec.num_experts = static_cast<int>(counts.size());
  spec.topk = topk;
  spec.tokens_per_rank = tokens_per_rank;
  spec.seed = seed;
  return spec;
}

/// The sum of the recorded counts, none of them negative.
std::int64_t checked_sum(std::span<const std::int64_t> counts, std::int64_t selections) {
  std::int64_t sum = 0;
  for (std::size_t expert = 0; expert < counts.size(); ++expert) {
    if (counts[expert] < 0 || __builtin_add_overflow(sum, counts[expert], &sum)) {
      throw UsageError(fmt::format(
          "expert {} has the recorded count {} (counts are 0 or more and sum below 2^63); mend the "
          "recording",
          expert, counts[expert]));
    }
  }
  if (sum == 0 && selections > 0) {
    throw UsageError("the recorded counts are all zero (there is nothing to replay); choose another layer");
  }
  return sum;
}

void check_dealable(const std::vector<std::int64_t>& counts, std::int64_t tokens, int topk) {
  const auto largest = std::max_element(counts.begin(), counts.end());
  if (*largest <= tokens) return;
  throw UsageError(
      fmt::format("expert {} would get {} selections from {} tokens (a token selects an expert once, so its "
                  "share can be at most 1/{}); check that top-k is {}",
                  largest - counts.begin(), *largest, tokens, topk, topk));
}

}  // namespace

RealisedCounts realise_expert_counts(const std::vector<std::int32_t>& tokens_per_rank, int topk,
                                     std::span<const std::int64_t> counts, std::uint64_t seed) {
  const WorkloadSpec spec = spec_of(tokens_per_rank, topk, counts, seed);
  check_shape(spec);
  const std::vector<std::uint8_t> degrees = degrees_after_masking(spec);
  const auto tokens = static_cast<std::int64_t>(degrees.size());
  const std::int64_t selections = tokens * topk;
  const std::int64_t sum = checked_sum(counts, selections);
  RealisedCounts realised;
  realised.counts.assign(counts.begin(), counts.end());
  if (sum != selections) {
    realised.scale = static_cast<double>(selections) / static_cast<double>(sum);
    const std::vector<double> weights(counts.begin(), counts.end());
    realised.counts = apportion(selections, weights, selections);
  }
  check_dealable(realised.counts, tokens, topk);
  realised.table = empty_table(spec.num_experts, topk, tokens_per_rank);
  deal({realised.table.topk_idx, degrees, topk}, realised.counts, seed);
  finish_rows(realised.table, degrees, seed);
  return realised;
}

}  // namespace epskew
