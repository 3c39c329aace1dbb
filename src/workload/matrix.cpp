#include "workload/matrix.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <vector>

#include "epskew/support/error.hpp"
#include "epskew/support/random.hpp"
#include "workload/expert_loads.hpp"
#include "workload/group_deal.hpp"
#include "workload/streams.hpp"

namespace epskew {
namespace {

void check_size(const WorkloadSpec& spec) {
  const auto ranks = static_cast<std::size_t>(spec.num_ranks());
  if (spec.matrix.size() != ranks * ranks) {
    throw UsageError(fmt::format("the matrix has {} entries ({} ranks need {}); give one row per source rank",
                                 spec.matrix.size(), ranks, ranks * ranks));
  }
  const auto negative =
      std::find_if(spec.matrix.begin(), spec.matrix.end(), [](std::int64_t n) { return n < 0; });
  if (negative != spec.matrix.end()) {
    throw UsageError(
        fmt::format("the matrix has the entry {} (it counts selections); choose 0 or more", *negative));
  }
}

/// The first j destinations of the row, largest first, must fit into what j ranks can take of these tokens.
void check_row(std::span<const std::int64_t> row, const Capacity& capacity, int source,
               std::int64_t experts_per_rank) {
  const std::int64_t sum = std::accumulate(row.begin(), row.end(), std::int64_t{0});
  if (sum != capacity.selections()) {
    throw UsageError(
        fmt::format("row {} of the matrix sums to {} (that rank's tokens have {} selections after masking); "
                    "make them equal",
                    source, sum, capacity.selections()));
  }
  std::vector<std::int64_t> sorted(row.begin(), row.end());
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  std::int64_t taken = 0;
  for (std::size_t j = 0; j < sorted.size(); ++j) {
    taken += sorted[j];
    const std::int64_t most = capacity.of_experts(static_cast<std::int64_t>(j + 1) * experts_per_rank);
    if (taken > most) {
      throw UsageError(
          fmt::format("row {} of the matrix sends {} selections to {} ranks (their {} experts can take {} of "
                      "that rank's tokens); send {} or fewer",
                      source, taken, j + 1, static_cast<std::int64_t>(j + 1) * experts_per_rank, most, most));
    }
  }
}

std::uint64_t seed_of_source(std::uint64_t seed, std::size_t source) {
  const auto words = RandomStream(seed, static_cast<std::uint64_t>(Stream::matrix)).block(source);
  return std::uint64_t{words[0]} << 32 | words[1];
}

/// An even split leaves remainders to the first experts of each rank; turn every rank by a random amount.
void turn_inside_ranks(std::vector<std::int64_t>& experts, std::size_t experts_per_rank, std::uint64_t seed) {
  RandomStream random(seed, static_cast<std::uint64_t>(Stream::popularity));
  for (auto first = experts.begin(); first != experts.end();
       first += static_cast<std::ptrdiff_t>(experts_per_rank)) {
    std::rotate(first, first + random.below(static_cast<std::uint32_t>(experts_per_rank)),
                first + static_cast<std::ptrdiff_t>(experts_per_rank));
  }
}

}  // namespace

void deal_matrix(const Rows& rows, const WorkloadSpec& spec) {
  check_size(spec);
  const auto ranks = static_cast<std::size_t>(spec.num_ranks());
  const std::size_t experts_per_rank = static_cast<std::size_t>(spec.num_experts) / ranks;
  const std::vector<double> equal(static_cast<std::size_t>(spec.num_experts), 1.0);
  std::size_t first = 0;
  for (std::size_t source = 0; source < ranks; ++source) {
    const auto tokens = static_cast<std::size_t>(spec.tokens_per_rank[source]);
    const auto topk = static_cast<std::size_t>(rows.topk);
    const Rows own{rows.experts.subspan(first * topk, tokens * topk), rows.degrees.subspan(first, tokens),
                   rows.topk};
    first += tokens;
    const Capacity capacity(own.degrees, rows.topk);
    const std::span<const std::int64_t> row = std::span(spec.matrix).subspan(source * ranks, ranks);
    check_row(row, capacity, static_cast<int>(source), static_cast<std::int64_t>(experts_per_rank));
    std::vector<std::int64_t> counts = expert_loads(capacity, row, equal);
    const std::uint64_t seed = seed_of_source(spec.seed, source);
    turn_inside_ranks(counts, experts_per_rank, seed);
    if (!limits_groups(spec)) {
      deal(own, counts, seed);
    } else if (!deal_grouped(own, spec, counts, seed)) {
      throw UsageError(fmt::format(
          "row {} of the matrix is out of reach under group-limited top-k (a token reaches {} of {} "
          "groups); give that rank fewer destinations or more groups a token",
          source, spec.topk_groups, spec.num_groups));
    }
  }
}

}  // namespace epskew
