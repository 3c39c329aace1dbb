#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "epskew/support/error.hpp"
#include "routing.hpp"

namespace epskew::python {
namespace {

constexpr std::size_t max_topk = 255;

/// The rows of the arrays that are tokens, per rank: the first `count` of `stride`.
struct Rows {
  std::vector<std::int32_t> count;
  std::size_t stride = 0;  ///< 0: the ranks' rows follow one another
  std::size_t topk = 0;
};

std::vector<std::int32_t> equal_shares(std::size_t tokens, int num_ranks) {
  if (num_ranks < 1 || tokens % static_cast<std::size_t>(num_ranks) != 0) {
    throw UsageError(
        fmt::format("topk_idx has {} tokens (they do not divide among {} ranks); give tokens_per_rank",
                    tokens, num_ranks));
  }
  const auto share = static_cast<std::int32_t>(tokens / static_cast<std::size_t>(num_ranks));
  return std::vector<std::int32_t>(static_cast<std::size_t>(num_ranks), share);
}

void check_tokens(const std::vector<std::int32_t>& tokens, const std::optional<int>& num_ranks) {
  if (num_ranks && static_cast<std::size_t>(*num_ranks) != tokens.size()) {
    throw UsageError(fmt::format("tokens_per_rank has {} numbers (there are {} ranks); give one a rank",
                                 tokens.size(), *num_ranks));
  }
  if (tokens.empty() ||
      std::any_of(tokens.begin(), tokens.end(), [](std::int32_t count) { return count < 0; })) {
    throw UsageError(
        "tokens_per_rank has a negative number or none (every rank has tokens or 0); correct it");
  }
}

Rows rows_of_ranks(const std::vector<std::size_t>& shape, const GivenShape& given) {
  Rows rows{{}, shape[1], shape[2]};
  if (given.num_ranks && static_cast<std::size_t>(*given.num_ranks) != shape[0]) {
    throw UsageError(
        fmt::format("topk_idx has shape {} (its first axis is the ranks, and num_ranks is {}); drop one",
                    shape_text(shape), *given.num_ranks));
  }
  rows.count.assign(shape[0], static_cast<std::int32_t>(shape[1]));
  if (given.tokens_per_rank) {
    rows.count = *given.tokens_per_rank;
    check_tokens(rows.count, static_cast<int>(shape[0]));
    for (const std::int32_t count : rows.count) {
      if (static_cast<std::size_t>(count) > shape[1]) {
        throw UsageError(fmt::format("tokens_per_rank has {} (topk_idx has {} rows a rank); give {} or less",
                                     count, shape[1], shape[1]));
      }
    }
  }
  return rows;
}

Rows rows_of_tokens(const std::vector<std::size_t>& shape, const GivenShape& given) {
  Rows rows{{}, 0, shape[1]};
  if (given.tokens_per_rank) {
    rows.count = *given.tokens_per_rank;
    check_tokens(rows.count, given.num_ranks);
    const auto sum = std::accumulate(rows.count.begin(), rows.count.end(), std::int64_t{0});
    if (sum != static_cast<std::int64_t>(shape[0])) {
      throw UsageError(
          fmt::format("tokens_per_rank adds up to {} (topk_idx has {} tokens); correct one", sum, shape[0]));
    }
  } else if (given.num_ranks) {
    rows.count = equal_shares(shape[0], *given.num_ranks);
  } else {
    throw UsageError(
        "topk_idx [N, K] does not say which rank has which token; give num_ranks or tokens_per_rank");
  }
  return rows;
}

Rows rows_of(const std::vector<std::size_t>& shape, const GivenShape& given) {
  if (shape.size() != 2 && shape.size() != 3) {
    throw UsageError(
        fmt::format("topk_idx has shape {} ([N, K] or [R, T, K] is needed); reshape it", shape_text(shape)));
  }
  if (shape.back() < 1 || shape.back() > max_topk) {
    throw UsageError(fmt::format("topk_idx has {} experts a token (1 to {} are possible); correct it",
                                 shape.back(), max_topk));
  }
  return shape.size() == 3 ? rows_of_ranks(shape, given) : rows_of_tokens(shape, given);
}

/// The entries of all tokens, without the rows that are none.
template <class To, class From>
std::vector<To> gather(const std::vector<From>& values, const Rows& rows) {
  std::vector<To> gathered;
  std::size_t next = 0;
  for (std::size_t rank = 0; rank < rows.count.size(); ++rank) {
    const std::size_t entries = static_cast<std::size_t>(rows.count[rank]) * rows.topk;
    const auto first = values.begin() +
                       static_cast<std::ptrdiff_t>(rows.stride == 0 ? next : rank * rows.stride * rows.topk);
    for (auto value = first; value != first + static_cast<std::ptrdiff_t>(entries); ++value)
      gathered.push_back(static_cast<To>(*value));
    next += entries;
  }
  return gathered;
}

std::vector<float> weights_from(nb::handle given, const std::vector<std::size_t>& shape, const Rows& rows) {
  const Numbers numbers = numbers_of(given, "topk_weights");
  if (numbers.shape != shape) {
    throw UsageError(fmt::format("topk_weights has shape {} (topk_idx has {}); give one weight an id",
                                 shape_text(numbers.shape), shape_text(shape)));
  }
  return gather<float>(numbers.values, rows);
}

}  // namespace

RoutingTable table_from(nb::handle topk_idx, nb::handle topk_weights, const GivenShape& given) {
  const Integers ids = integers_of(topk_idx, "topk_idx");
  const Rows rows = rows_of(ids.shape, given);
  const int ranks = static_cast<int>(rows.count.size());
  if (ranks < 1 || given.num_experts < 1 || given.num_experts % ranks != 0) {
    throw UsageError(
        fmt::format("num_experts {} does not divide among {} ranks (each owns the same number); choose a "
                    "multiple of {}",
                    given.num_experts, ranks, std::max(ranks, 1)));
  }
  RoutingTable table;
  table.num_experts = given.num_experts;
  table.topk = static_cast<int>(rows.topk);
  table.tokens_per_rank = rows.count;
  table.topk_idx = gather<std::int32_t>(int32_of(ids, "topk_idx"), rows);
  if (topk_weights.is_none()) {
    table.topk_weights.assign(table.topk_idx.size(), 1.0f / static_cast<float>(table.topk));
  } else {
    table.topk_weights = weights_from(topk_weights, ids.shape, rows);
  }
  for (std::size_t i = 0; i < table.topk_idx.size(); ++i) {
    if (table.topk_idx[i] == -1) table.topk_weights[i] = 0.0f;
  }
  validate(table, "topk_idx");
  return table;
}

}  // namespace epskew::python
