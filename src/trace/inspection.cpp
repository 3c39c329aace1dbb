#include "epskew/trace/inspection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <numeric>

#include "epskew/support/error.hpp"
#include "epskew/workload/uniform_floor.hpp"

namespace epskew {
namespace {

std::int32_t slot_of(std::int32_t expert, const std::optional<Placement>& placement) {
  return placement ? placement->slot_of_expert[static_cast<std::size_t>(expert)] : expert;
}

LoadMetrics rank_loads(const TraceLayer& layer, int num_ranks, const std::optional<Placement>& placement) {
  std::vector<std::int64_t> loads(static_cast<std::size_t>(num_ranks), 0);
  const auto experts_per_rank = static_cast<std::int32_t>(layer.counts.size()) / num_ranks;
  for (std::size_t e = 0; e < layer.counts.size(); ++e) {
    loads[static_cast<std::size_t>(slot_of(static_cast<std::int32_t>(e), placement) / experts_per_rank)] +=
        layer.counts[e];
  }
  return measure_loads(loads);
}

/// Messages do not depend on where a token comes from, so the table's one sender stands for all.
RoutingLoad message_loads(const TraceLayer& layer, int num_experts, int num_ranks,
                          const std::optional<Placement>& placement) {
  RoutingTable table;
  table.num_experts = num_experts;
  table.topk = layer.topk;
  table.tokens_per_rank.assign(static_cast<std::size_t>(num_ranks), 0);
  table.tokens_per_rank.front() = static_cast<std::int32_t>(layer.num_tokens());
  table.topk_idx.reserve(layer.topk_idx.size());
  for (const std::int32_t expert : layer.topk_idx)
    table.topk_idx.push_back(expert < 0 ? expert : slot_of(expert, placement));
  return count_load(table);
}

double floor_of(const Trace& trace, int num_ranks, std::int64_t selections) {
  WorkloadSpec spec;
  spec.num_experts = trace.num_experts;
  spec.topk = trace.topk;
  spec.tokens_per_rank.assign(static_cast<std::size_t>(num_ranks), 0);
  return uniform_floor(spec, selections);
}

RankInspection inspect_ranks(const Trace& trace, const TraceLayer& layer, int num_ranks,
                             const std::optional<Placement>& placement) {
  RankInspection inspection;
  inspection.num_ranks = num_ranks;
  inspection.rank = rank_loads(layer, num_ranks, placement);
  if (trace.topk > 0) {
    inspection.uniform_floor = floor_of(
        trace, num_ranks, std::accumulate(layer.counts.begin(), layer.counts.end(), std::int64_t{0}));
  }
  if (layer.topk > 0) {
    RoutingLoad load = message_loads(layer, trace.num_experts, num_ranks, placement);
    inspection.message = std::move(load.message);
    inspection.hot_over_others = load.hot_over_others;
  }
  return inspection;
}

LoadMetrics node_loads(const std::vector<std::int64_t>& rank_loads, int ranks_per_node) {
  std::vector<std::int64_t> loads(rank_loads.size() / static_cast<std::size_t>(ranks_per_node), 0);
  for (std::size_t rank = 0; rank < rank_loads.size(); ++rank) {
    loads[rank / static_cast<std::size_t>(ranks_per_node)] += rank_loads[rank];
  }
  return measure_loads(loads);
}

}  // namespace

void inspect_nodes(std::vector<LayerInspection>& layers, int ranks_per_node) {
  for (LayerInspection& layer : layers) {
    for (RankInspection& at : layer.ranks) {
      if (ranks_per_node < 1 || at.num_ranks % ranks_per_node != 0) {
        throw UsageError(fmt::format(
            "--ranks-per-node {} does not divide {} ranks (nodes are of one size); choose a divisor",
            ranks_per_node, at.num_ranks));
      }
      at.node = node_loads(at.rank.loads, ranks_per_node);
    }
  }
}

std::vector<int> usual_num_ranks(int num_experts) {
  EPSKEW_EXPECT(num_experts > 0);
  std::vector<int> ranks;
  for (const int usual : {8, 16, 32}) {
    if (num_experts % usual == 0) ranks.push_back(usual);
  }
  if (!ranks.empty()) return ranks;
  for (int divisor = 2; divisor <= 32; ++divisor) {
    if (num_experts % divisor == 0) ranks.push_back(divisor);
  }
  if (ranks.empty()) return {num_experts};
  ranks.erase(ranks.begin(), ranks.end() - std::min<std::ptrdiff_t>(3, std::ssize(ranks)));
  return ranks;
}

std::vector<LayerInspection> inspect(const Trace& trace, std::span<const int> num_ranks,
                                     const std::optional<Placement>& placement) {
  std::vector<LayerInspection> layers;
  for (const TraceLayer& layer : trace.layers) {
    LayerInspection inspection;
    inspection.layer = layer.layer;
    inspection.tokens = layer.num_tokens();
    inspection.selections = std::accumulate(layer.counts.begin(), layer.counts.end(), std::int64_t{0});
    inspection.expert = measure_loads(layer.counts);
    for (const int ranks : num_ranks) {
      EPSKEW_EXPECT(ranks > 0 && trace.num_experts % ranks == 0);
      inspection.ranks.push_back(inspect_ranks(trace, layer, ranks, placement));
    }
    layers.push_back(std::move(inspection));
  }
  return layers;
}

}  // namespace epskew
