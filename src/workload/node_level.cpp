#include "workload/node_level.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "epskew/support/random.hpp"
#include "epskew/workload/pattern.hpp"
#include "workload/bound.hpp"
#include "workload/expert_loads.hpp"
#include "workload/streams.hpp"

namespace epskew {
namespace {

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

std::int64_t part_of(std::int64_t total, int parts, int part) {
  return total / parts + (part < total % parts ? 1 : 0);
}

/// Which rank of each node is hot: random, but for a hot rank that is fixed.
std::vector<int> hot_members(const WorkloadSpec& spec) {
  RandomStream random(spec.seed, static_cast<std::uint64_t>(Stream::rank_order));
  std::vector<int> members(static_cast<std::size_t>(spec.num_nodes()));
  for (int& member : members)
    member = static_cast<int>(random.below(static_cast<std::uint32_t>(spec.ranks_per_node)));
  if (spec.hot_rank) {
    members[static_cast<std::size_t>(*spec.hot_rank / spec.ranks_per_node)] =
        *spec.hot_rank % spec.ranks_per_node;
  }
  return members;
}

/// Loads of all ranks where in each of the equal nodes one has `hot` and the others share the rest.
std::vector<std::int64_t> loads_in_nodes(const WorkloadSpec& spec, std::int64_t selections,
                                         std::int64_t hot) {
  std::vector<std::int64_t> loads;
  const std::vector<int> members = hot_members(spec);
  for (int node = 0; node < spec.num_nodes(); ++node) {
    const std::int64_t rest = part_of(selections, spec.num_nodes(), node) - hot;
    int others = 0;
    for (int member = 0; member < spec.ranks_per_node; ++member) {
      const bool is_hot = member == members[static_cast<std::size_t>(node)];
      loads.push_back(is_hot ? hot : part_of(rest, spec.ranks_per_node - 1, others++));
    }
  }
  return loads;
}

bool fits(std::vector<std::int64_t> loads, const WorkloadSpec& spec, const Capacity& capacity) {
  const std::int64_t experts_per_rank = spec.num_experts / spec.num_ranks();
  std::sort(loads.begin(), loads.end(), std::greater<>());
  std::int64_t sum = 0;
  for (std::size_t j = 0; j < loads.size(); ++j) {
    sum += loads[j];
    if (loads[j] < 0 || sum > capacity.of_experts(static_cast<std::int64_t>(j + 1) * experts_per_rank))
      return false;
  }
  return true;
}

/// The largest load of a node's hot rank; the smallest possible one always fits.
std::int64_t most_hot(const WorkloadSpec& spec, const Capacity& capacity) {
  const std::int64_t selections = capacity.selections();
  std::int64_t good = ceil_div(selections, spec.num_ranks());
  if (spec.ranks_per_node == 1) return good;
  std::int64_t bad = selections / spec.num_nodes() + 1;
  while (bad - good > 1) {
    const std::int64_t middle = good + (bad - good) / 2;
    (fits(loads_in_nodes(spec, selections, middle), spec, capacity) ? good : bad) = middle;
  }
  return good;
}

}  // namespace

WorkloadSpec factor_places(const WorkloadSpec& spec) {
  if (spec.imbalance_level == ImbalanceLevel::rank) return spec;
  WorkloadSpec places = spec;
  places.tokens_per_rank.assign(static_cast<std::size_t>(spec.num_nodes()), 0);
  for (int rank = 0; rank < spec.num_ranks(); ++rank) {
    places.tokens_per_rank[static_cast<std::size_t>(rank / spec.ranks_per_node)] +=
        spec.tokens_per_rank[static_cast<std::size_t>(rank)];
  }
  if (spec.hot_rank) places.hot_rank = *spec.hot_rank / spec.ranks_per_node;
  return places;
}

std::vector<std::int64_t> split_evenly(std::span<const std::int64_t> loads, int parts) {
  std::vector<std::int64_t> split;
  split.reserve(loads.size() * static_cast<std::size_t>(parts));
  for (const std::int64_t load : loads) {
    for (int part = 0; part < parts; ++part) split.push_back(part_of(load, parts, part));
  }
  return split;
}

double feasible_skew_in_nodes(const WorkloadSpec& spec, const Capacity& capacity) {
  if (capacity.selections() == 0) return 1.0;
  return static_cast<double>(most_hot(spec, capacity)) * spec.num_ranks() /
         static_cast<double>(capacity.selections());
}

PlannedCounts plan_skew_in_nodes(const WorkloadSpec& spec, const Capacity& capacity) {
  const std::int64_t hot = hot_load(spec, capacity, *spec.factor);
  if (hot > most_hot(spec, capacity)) {
    const double bound = feasible_skew_in_nodes(spec, capacity);
    refuse_factor(*spec.factor, bound,
                  fmt::format("one rank of each node of {} can take at most {:.2f} while the nodes are equal",
                              spec.ranks_per_node, std::floor(bound * 100.0) / 100.0));
  }
  const bool is_even = spec.ranks_per_node == 1;
  std::vector<std::int64_t> nodes;
  for (int node = 0; node < spec.num_nodes(); ++node)
    nodes.push_back(part_of(capacity.selections(), spec.num_nodes(), node));
  const std::vector<std::int64_t> loads = is_even ? nodes : loads_in_nodes(spec, capacity.selections(), hot);
  const std::vector<double> equal(static_cast<std::size_t>(spec.num_experts), 1.0);
  return {expert_loads(capacity, loads, equal), std::string(name_of(Pattern::skew_in_nodes)), {}};
}

}  // namespace epskew
