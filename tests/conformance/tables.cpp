#include "conformance/tables.hpp"

#include <algorithm>
#include <numeric>

#include "epskew/support/random.hpp"

namespace epskew::testing {
namespace {

/// `topk` distinct experts; all_to_one takes those of rank 0 as long as it has some.
std::vector<std::int32_t> select(const TableSpec& spec, RandomStream& random) {
  std::vector<std::int32_t> experts(static_cast<std::size_t>(spec.num_experts));
  std::iota(experts.begin(), experts.end(), 0);
  if (spec.destinations == Destinations::uniform) shuffle(experts, random);
  experts.resize(static_cast<std::size_t>(spec.topk));
  shuffle(experts, random);
  return experts;
}

}  // namespace

RoutingTable make_table(const TableSpec& spec) {
  RandomStream random(spec.seed, 99);
  RoutingTable table;
  table.num_experts = spec.num_experts;
  table.topk = spec.topk;
  table.tokens_per_rank = spec.tokens_per_rank;
  const std::int64_t tokens = table.num_tokens();
  for (std::int64_t token = 0; token < tokens; ++token) {
    const auto experts = select(spec, random);
    table.topk_idx.insert(table.topk_idx.end(), experts.begin(), experts.end());
  }
  const auto entries = static_cast<std::uint32_t>(table.topk_idx.size());
  for (int i = 0; i < spec.masked_entries && entries > 0; ++i) table.topk_idx[random.below(entries)] = -1;
  for (int i = 0; i < spec.masked_tokens && tokens > 0; ++i) {
    const auto first =
        static_cast<std::ptrdiff_t>(random.below(static_cast<std::uint32_t>(tokens))) * spec.topk;
    std::fill_n(table.topk_idx.begin() + first, spec.topk, -1);
  }
  for (const std::int32_t expert : table.topk_idx) {
    table.topk_weights.push_back(expert < 0 ? 0.0f : static_cast<float>(0.1 + random.uniform()));
  }
  return table;
}

ExchangeShape shape_of(const RoutingTable& table, int hidden) {
  ExchangeShape shape;
  shape.num_ranks = table.num_ranks();
  shape.num_experts = table.num_experts;
  shape.topk = table.topk;
  shape.hidden = hidden;
  shape.max_tokens = table.max_tokens();
  return shape;
}

}  // namespace epskew::testing
