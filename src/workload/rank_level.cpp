#include <algorithm>
#include <numeric>
#include <span>

#include "epskew/support/error.hpp"
#include "epskew/support/random.hpp"
#include "workload/bound.hpp"
#include "workload/expert_loads.hpp"
#include "workload/group_deal.hpp"
#include "workload/law.hpp"
#include "workload/node_level.hpp"
#include "workload/planned_counts.hpp"
#include "workload/rank_loads.hpp"
#include "workload/streams.hpp"

namespace epskew {
namespace {

/// The largest experts of a rank are as likely to be any of its experts.
void shuffle_inside_ranks(std::vector<std::int64_t>& experts, int num_ranks, std::uint64_t seed) {
  RandomStream random(seed, static_cast<std::uint64_t>(Stream::popularity));
  const std::size_t experts_per_rank = experts.size() / static_cast<std::size_t>(num_ranks);
  for (std::size_t first = 0; first < experts.size(); first += experts_per_rank) {
    std::span<std::int64_t> own = std::span(experts).subspan(first, experts_per_rank);
    shuffle(own, random);
  }
}

/// rank_order, but that the first rank can take `hot`: with expert groups not every rank can take the same.
std::vector<int> order_for(const WorkloadSpec& spec, const Capacity& capacity, std::int64_t hot) {
  std::vector<int> order = rank_order(spec);
  const auto able = std::find_if(order.begin(), order.end(), [&](int rank) {
    return capacity.of_experts(reachable_experts(spec, rank)) >= hot;
  });
  EPSKEW_ASSERT(able != order.end());
  std::iter_swap(order.begin(), able);
  return order;
}

std::vector<double> even_out(std::vector<double> ascending, double evenness) {
  const auto others = static_cast<double>(ascending.size() - 1);
  const double mean = std::accumulate(ascending.begin(), ascending.end() - 1, 0.0) / std::max(1.0, others);
  for (std::size_t i = 0; i + 1 < ascending.size(); ++i) ascending[i] += evenness * (mean - ascending[i]);
  return ascending;
}

}  // namespace

std::vector<int> rank_order(const WorkloadSpec& spec) {
  std::vector<int> order(static_cast<std::size_t>(spec.num_ranks()));
  std::iota(order.begin(), order.end(), 0);
  RandomStream random(spec.seed, static_cast<std::uint64_t>(Stream::rank_order));
  shuffle(order, random);
  if (spec.hot_rank) std::iter_swap(order.begin(), std::find(order.begin(), order.end(), *spec.hot_rank));
  return order;
}

PlannedCounts plan_rank_level(const WorkloadSpec& spec, const Capacity& capacity, double evenness) {
  const WorkloadSpec places = factor_places(spec);
  const Law shaped = Law::of_shape(spec);
  const double factor = spec.factor ? *spec.factor : shaped.curve(places.num_ranks()).back();
  const std::int64_t hot = hot_load(places, capacity, factor);
  const Law law = spec.factor ? Law::of_factor(spec, factor, places.num_ranks()) : shaped;
  const int experts_per_rank = spec.num_experts / spec.num_ranks();
  const std::vector<int> order = order_for(places, capacity, hot);
  const std::vector<std::int64_t> descending = rank_loads(
      capacity, even_out(law.curve(places.num_ranks()), evenness), hot, reachable_experts(places, order[0]));
  std::vector<std::int64_t> by_place(descending.size());
  for (std::size_t i = 0; i < by_place.size(); ++i)
    by_place[static_cast<std::size_t>(order[i])] = descending[i];
  const std::vector<std::int64_t> loads = split_evenly(by_place, spec.num_ranks() / places.num_ranks());
  const std::vector<double> curve = law.curve(experts_per_rank);
  std::vector<double> weights;
  weights.reserve(static_cast<std::size_t>(spec.num_experts));
  for (int rank = 0; rank < spec.num_ranks(); ++rank)
    weights.insert(weights.end(), curve.begin(), curve.end());
  PlannedCounts planned{expert_loads(capacity, loads, weights), law.name(), law.parameters()};
  shuffle_inside_ranks(planned.experts, spec.num_ranks(), spec.seed);
  return planned;
}

}  // namespace epskew
