#include "epskew/workload/generate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "epskew/support/error.hpp"
#include "epskew/support/random.hpp"
#include "workload/capacity.hpp"
#include "workload/deal.hpp"
#include "workload/expert_loads.hpp"
#include "workload/law.hpp"
#include "workload/rank_loads.hpp"
#include "workload/rows.hpp"
#include "workload/spec_check.hpp"
#include "workload/streams.hpp"
#include "workload/uniform.hpp"

namespace epskew {
namespace {

std::int64_t ceil_mean(std::int64_t selections, int ranks) {
  return (selections + ranks - 1) / ranks;
}

/// R · (what one rank can take) / S. Mean loads below 1 cannot be balanced; then it is the only factor there
/// is.
double feasible_factor(const WorkloadSpec& spec, const Capacity& capacity) {
  if (capacity.selections() == 0) return 1.0;
  const std::int64_t most = capacity.of_experts(spec.num_experts / spec.num_ranks());
  return static_cast<double>(most) * spec.num_ranks() / static_cast<double>(capacity.selections());
}

std::int64_t hot_load(const WorkloadSpec& spec, const Capacity& capacity, double factor) {
  const double bound = feasible_factor(spec, capacity);
  if (!(factor >= 1.0 && factor <= bound * (1.0 + 1e-12))) {
    throw UsageError(
        fmt::format("--imbalance-factors {:g} is out of reach ({} ranks of {} experts can take at most "
                    "{:.2f} at top-{}, and no routing "
                    "is below 1); choose 1 to {:.2f}",
                    factor, spec.num_ranks(), spec.num_experts / spec.num_ranks(),
                    std::floor(bound * 100) / 100, spec.topk, std::floor(bound * 100) / 100));
  }
  const double mean = static_cast<double>(capacity.selections()) / spec.num_ranks();
  return std::max<std::int64_t>(std::llround(factor * mean),
                                ceil_mean(capacity.selections(), spec.num_ranks()));
}

/// Ranks from the hottest to the coldest: random, but for a hot rank that is fixed.
std::vector<int> rank_order(const WorkloadSpec& spec) {
  std::vector<int> order(static_cast<std::size_t>(spec.num_ranks()));
  std::iota(order.begin(), order.end(), 0);
  RandomStream random(spec.seed, static_cast<std::uint64_t>(Stream::rank_order));
  shuffle(order, random);
  if (spec.hot_rank) std::iter_swap(order.begin(), std::find(order.begin(), order.end(), *spec.hot_rank));
  return order;
}

/// The law's curve over the experts of a rank, in random order for each rank.
std::vector<double> expert_weights(const WorkloadSpec& spec, const Law& law) {
  const int experts_per_rank = spec.num_experts / spec.num_ranks();
  std::vector<double> curve = law.curve(experts_per_rank);
  RandomStream random(spec.seed, static_cast<std::uint64_t>(Stream::popularity));
  std::vector<double> weights;
  weights.reserve(static_cast<std::size_t>(spec.num_experts));
  for (int rank = 0; rank < spec.num_ranks(); ++rank) {
    shuffle(curve, random);
    weights.insert(weights.end(), curve.begin(), curve.end());
  }
  return weights;
}

std::vector<std::int64_t> rank_level_counts(const WorkloadSpec& spec, const Law& law,
                                            const Capacity& capacity, std::int64_t hot) {
  const std::vector<std::int64_t> descending =
      rank_loads(capacity, law.curve(spec.num_ranks()), hot, spec.num_experts / spec.num_ranks());
  const std::vector<int> order = rank_order(spec);
  std::vector<std::int64_t> loads(descending.size());
  for (std::size_t i = 0; i < loads.size(); ++i) loads[static_cast<std::size_t>(order[i])] = descending[i];
  return expert_loads(capacity, loads, expert_weights(spec, law));
}

}  // namespace

Workload generate(const WorkloadSpec& spec) {
  check_shape(spec);
  const std::vector<std::uint8_t> degrees = degrees_after_masking(spec);
  const Capacity capacity(degrees, spec.topk);
  Workload workload;
  workload.seed = spec.seed;
  workload.feasible_max = feasible_factor(spec, capacity);
  workload.uniform_floor = uniform_floor(spec, capacity.selections());
  workload.table = empty_table(spec.num_experts, spec.topk, spec.tokens_per_rank);
  const Rows rows{workload.table.topk_idx, degrees, spec.topk};
  if (!spec.factor && !spec.shape && spec.curve.empty()) {
    workload.distribution = "uniform";
    draw_uniform(rows, spec);
  } else {
    const Law shaped = Law::of_shape(spec);
    const double factor = spec.factor ? *spec.factor : shaped.curve(spec.num_ranks()).back();
    const std::int64_t hot = hot_load(spec, capacity, factor);
    const Law law = spec.factor ? Law::of_factor(spec, factor, spec.num_ranks()) : shaped;
    workload.distribution = law.name();
    workload.parameters = law.parameters();
    deal(rows, rank_level_counts(spec, law, capacity, hot), spec.seed);
  }
  finish_rows(workload.table, degrees, spec.seed);
  return workload;
}

}  // namespace epskew
