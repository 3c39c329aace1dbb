#include <fmt/format.h>

#include <cmath>
#include <string>

#include "epskew/routing/routing_table.hpp"
#include "epskew/support/error.hpp"

namespace epskew {
namespace {

void validate_shape(const RoutingTable& table, const char* what) {
  const auto refuse = [what](const std::string& problem) {
    throw UsageError(fmt::format("{} is no routing ({}); make one with `epskew gen`", what, problem));
  };
  if (table.num_ranks() == 0) refuse("it has no ranks");
  if (table.num_experts <= 0) refuse(fmt::format("it has {} experts", table.num_experts));
  if (table.num_experts % table.num_ranks() != 0) {
    refuse(fmt::format("{} experts do not divide among {} ranks", table.num_experts, table.num_ranks()));
  }
  if (table.topk < 1 || table.topk > table.num_experts) {
    refuse(fmt::format("top-{} of {} experts", table.topk, table.num_experts));
  }
  for (const std::int32_t tokens : table.tokens_per_rank) {
    if (tokens < 0) refuse(fmt::format("a rank has {} tokens", tokens));
  }
  const std::int64_t entries = table.num_tokens() * table.topk;
  if (static_cast<std::int64_t>(table.topk_idx.size()) != entries ||
      static_cast<std::int64_t>(table.topk_weights.size()) != entries) {
    refuse(fmt::format("its tokens call for {} entries, it holds {} ids and {} weights", entries,
                       table.topk_idx.size(), table.topk_weights.size()));
  }
}

/// Where an entry is, for messages: "rank 2 token 5 entry 1".
std::string place_of(const RoutingTable& table, std::size_t entry) {
  auto token = static_cast<std::int64_t>(entry) / table.topk;
  int rank = 0;
  while (token >= table.tokens_per_rank[static_cast<std::size_t>(rank)]) {
    token -= table.tokens_per_rank[static_cast<std::size_t>(rank++)];
  }
  return fmt::format("rank {} token {} entry {}", rank, token, static_cast<std::int64_t>(entry) % table.topk);
}

}  // namespace

void validate(const RoutingTable& table, const char* what) {
  validate_shape(table, what);
  const auto topk = static_cast<std::size_t>(table.topk);
  std::vector<std::int64_t> last_token(static_cast<std::size_t>(table.num_experts), -1);
  for (std::size_t entry = 0; entry < table.topk_idx.size(); ++entry) {
    const std::int32_t expert = table.topk_idx[entry];
    if (expert < -1 || expert >= table.num_experts) {
      throw UsageError(
          fmt::format("{}: {} selects expert {} (ids must be in 0..{}, or -1 for none); mend that entry",
                      what, place_of(table, entry), expert, table.num_experts - 1));
    }
    if (!std::isfinite(table.topk_weights[entry])) {
      throw UsageError(fmt::format("{}: {} has the weight {} (weights must be finite); mend that entry", what,
                                   place_of(table, entry), table.topk_weights[entry]));
    }
    if (expert < 0) continue;
    const auto token = static_cast<std::int64_t>(entry / topk);
    if (last_token[static_cast<std::size_t>(expert)] == token) {
      throw UsageError(
          fmt::format("{}: {} selects expert {} a second time (a token's experts must differ); mend that "
                      "entry",
                      what, place_of(table, entry), expert));
    }
    last_token[static_cast<std::size_t>(expert)] = token;
  }
}

}  // namespace epskew
