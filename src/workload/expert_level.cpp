#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include "epskew/support/error.hpp"
#include "workload/apportion.hpp"
#include "workload/bound.hpp"
#include "workload/expert_loads.hpp"
#include "workload/law.hpp"
#include "workload/planned_counts.hpp"
#include "workload/rank_loads.hpp"

namespace epskew {
namespace {

/// Expert loads of a law on the slots of a placement, no expert above what the tokens can take.
class PlacedLaw {
 public:
  PlacedLaw(const WorkloadSpec& spec, const Capacity& capacity)
      : capacity_(capacity), num_ranks_(static_cast<std::size_t>(spec.num_ranks())) {
    const Placement placement =
        spec.placement ? *spec.placement : random_placement(spec.num_experts, spec.seed);
    validate(placement, spec.num_experts, "--placement");
    slots_ = placement.slot_of_expert;
  }

  /// [E] by slot.
  std::vector<std::int64_t> experts(const Law& law) const {
    std::vector<double> popular_first = law.curve(static_cast<int>(slots_.size()));
    std::reverse(popular_first.begin(), popular_first.end());
    const std::vector<std::int64_t> loads =
        apportion(capacity_.selections(), popular_first, std::max(capacity_.of_experts(1), least_cap()));
    std::vector<std::int64_t> by_slot(loads.size());
    for (std::size_t i = 0; i < loads.size(); ++i) by_slot[static_cast<std::size_t>(slots_[i])] = loads[i];
    return by_slot;
  }

  std::vector<std::int64_t> ranks(const std::vector<std::int64_t>& experts_by_slot) const {
    std::vector<std::int64_t> loads(num_ranks_, 0);
    const std::size_t experts_per_rank = slots_.size() / num_ranks_;
    for (std::size_t i = 0; i < experts_by_slot.size(); ++i)
      loads[i / experts_per_rank] += experts_by_slot[i];
    return loads;
  }

  std::int64_t hottest(const Law& law) const {
    const std::vector<std::int64_t> loads = ranks(experts(law));
    return *std::max_element(loads.begin(), loads.end());
  }

 private:
  std::int64_t least_cap() const {
    const auto experts = static_cast<std::int64_t>(slots_.size());
    return (capacity_.selections() + experts - 1) / experts;
  }

  const Capacity& capacity_;
  std::size_t num_ranks_;
  std::vector<std::int32_t> slots_;
};

/// A geometric grid from 2^-10 to beyond 2^10: under most placements the hottest rank's load rises with the
/// spread only at first, so a search by halves would miss what is reachable.
std::vector<double> spreads_to_try() {
  constexpr double ratio = 1.4142135623730951;
  constexpr int points = 42;
  std::vector<double> spreads = {0x1p-10};
  while (spreads.size() < points) spreads.push_back(spreads.back() * ratio);
  return spreads;
}

/// The hottest rank's load at the best spread.
std::int64_t most_reached(const WorkloadSpec& spec, const PlacedLaw& placed) {
  std::int64_t best = placed.hottest(Law::of_spread(spec, 0.0));
  for (const double spread : spreads_to_try())
    best = std::max(best, placed.hottest(Law::of_spread(spec, spread)));
  return best;
}

double factor_reached(const WorkloadSpec& spec, const PlacedLaw& placed, double mean) {
  return std::max(1.0, static_cast<double>(most_reached(spec, placed)) / mean);
}

/// The smallest spread at which the hottest rank has at least `hot`: the first of the grid, then the step
/// that crosses is halved.
Law bend_to(const WorkloadSpec& spec, const PlacedLaw& placed, double factor, std::int64_t hot, double mean) {
  constexpr int halvings = 32;
  const auto reaches = [&](double spread) { return placed.hottest(Law::of_spread(spec, spread)) >= hot; };
  if (reaches(0.0)) return Law::of_spread(spec, 0.0);
  const std::vector<double> spreads = spreads_to_try();
  const auto first = std::find_if(spreads.begin(), spreads.end(), reaches);
  if (first == spreads.end()) {
    const double bound = factor_reached(spec, placed, mean);
    refuse_factor(factor, bound,
                  fmt::format("under this placement {} experts reach at most {:.2f}",
                              Law::of_shape(spec).name(), std::floor(bound * 100.0) / 100.0));
  }
  double low = first == spreads.begin() ? 0.0 : *std::prev(first);
  double high = *first;
  for (int i = 0; i < halvings; ++i) {
    const double middle = 0.5 * (low + high);
    (reaches(middle) ? high : low) = middle;
  }
  return Law::of_spread(spec, high);
}

std::vector<int> by_descending_load(const std::vector<std::int64_t>& loads) {
  std::vector<int> order(loads.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return loads[static_cast<std::size_t>(a)] > loads[static_cast<std::size_t>(b)];
  });
  return order;
}

/// Without a factor the law's own shape is taken as it is or not at all.
void check_top_expert(const WorkloadSpec& spec, const Law& law, const Capacity& capacity) {
  const double largest = law.curve(spec.num_experts).back() / spec.num_experts;
  const auto selections = static_cast<double>(capacity.selections());
  const auto most = static_cast<double>(capacity.of_experts(1));
  if (largest * selections <= most + 0.5) return;
  throw UsageError(
      fmt::format("the law's shape is out of reach (its most popular expert has {:.4f} of the selections, a "
                  "token selects an expert once, so {:.4f} is the most); choose a flatter one",
                  largest, std::floor(most / selections * 1e4) / 1e4));
}

/// Moves `experts` to rank loads whose largest is exactly `hot`, keeping the proportions inside every rank.
std::vector<std::int64_t> settle(const PlacedLaw& placed, const Capacity& capacity,
                                 const std::vector<std::int64_t>& experts, std::int64_t hot, int num_ranks) {
  const std::vector<std::int64_t> loads = placed.ranks(experts);
  const std::vector<int> order = by_descending_load(loads);
  std::vector<double> ascending;
  for (auto rank = order.rbegin(); rank != order.rend(); ++rank) {
    ascending.push_back(static_cast<double>(loads[static_cast<std::size_t>(*rank)]));
  }
  const auto experts_per_rank = static_cast<std::int64_t>(experts.size()) / num_ranks;
  const std::vector<std::int64_t> descending = rank_loads(capacity, ascending, hot, experts_per_rank);
  std::vector<std::int64_t> settled(loads.size());
  for (std::size_t i = 0; i < order.size(); ++i) settled[static_cast<std::size_t>(order[i])] = descending[i];
  const std::vector<double> weights(experts.begin(), experts.end());
  return expert_loads(capacity, settled, weights);
}

}  // namespace

double placed_factor(const WorkloadSpec& spec, const Capacity& capacity) {
  if (capacity.selections() == 0) return 1.0;
  return factor_reached(spec, PlacedLaw(spec, capacity),
                        static_cast<double>(capacity.selections()) / spec.num_ranks());
}

PlannedCounts plan_expert_level(const WorkloadSpec& spec, const Capacity& capacity) {
  if (spec.hot_rank) {
    throw UsageError(
        "--hot-rank has no use with --law-level expert (the placement decides which rank is hot); leave it "
        "out");
  }
  const PlacedLaw placed(spec, capacity);
  const double mean = static_cast<double>(capacity.selections()) / spec.num_ranks();
  std::int64_t hot = 0;
  Law law = Law::of_shape(spec);
  if (spec.factor) {
    hot = hot_load(spec, capacity, *spec.factor);
    law = bend_to(spec, placed, *spec.factor, hot, mean);
  } else {
    check_top_expert(spec, law, capacity);
    hot = std::min(placed.hottest(law), capacity.of_experts(spec.num_experts / spec.num_ranks()));
  }
  return {settle(placed, capacity, placed.experts(law), hot, spec.num_ranks()), law.name(), law.parameters()};
}

}  // namespace epskew
