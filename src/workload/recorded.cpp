#include "epskew/workload/recorded.hpp"

#include <algorithm>
#include <utility>

#include "epskew/workload/uniform_floor.hpp"
#include "workload/bound.hpp"
#include "workload/capacity.hpp"

namespace epskew {
namespace {

/// [num_tokens]: selections of each token.
std::vector<std::uint8_t> degrees_of(const RoutingTable& table) {
  std::vector<std::uint8_t> degrees(static_cast<std::size_t>(table.num_tokens()));
  const auto topk = static_cast<std::ptrdiff_t>(table.topk);
  for (std::size_t token = 0; token < degrees.size(); ++token) {
    const auto first = table.topk_idx.begin() + static_cast<std::ptrdiff_t>(token) * topk;
    degrees[token] = static_cast<std::uint8_t>(
        std::count_if(first, first + topk, [](std::int32_t expert) { return expert >= 0; }));
  }
  return degrees;
}

}  // namespace

WorkloadSpec shape_spec(const RoutingTable& table) {
  WorkloadSpec spec;
  spec.num_experts = table.num_experts;
  spec.topk = table.topk;
  spec.tokens_per_rank = table.tokens_per_rank;
  return spec;
}

Workload recorded_workload(RoutingTable table, std::string distribution, std::uint64_t seed) {
  const WorkloadSpec spec = shape_spec(table);
  const Capacity capacity(degrees_of(table), spec.topk);
  Workload workload;
  workload.distribution = std::move(distribution);
  workload.seed = seed;
  workload.feasible_max = feasible_factor(spec, capacity);
  workload.uniform_floor = uniform_floor(spec, capacity.selections());
  workload.table = std::move(table);
  return workload;
}

}  // namespace epskew
