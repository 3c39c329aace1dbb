#include "workload/deal.hpp"

#include <algorithm>
#include <vector>

#include "epskew/support/error.hpp"
#include "workload/deal_plan.hpp"
#include "workload/fast_random.hpp"
#include "workload/trade.hpp"

namespace epskew {
namespace {

/// Least tokens of a block: its rows stay in the first-level cache, and one block is random enough within
/// itself.
constexpr std::uint32_t block_tokens = 256;

template <class Items>
void shuffle_fast(Items&& items, FastRandom& random) {
  for (std::size_t i = items.size(); i > 1; --i) {
    std::swap(items[i - 1], items[random.below(static_cast<std::uint32_t>(i))]);
  }
}

/// Deals hands to the rows of one block, kept in order of remaining degree, highest first.
class BlockDealer {
 public:
  explicit BlockDealer(int topk) : topk_(static_cast<std::size_t>(topk)), end_(topk_ + 2, 0) {}

  /// `degrees` in descending order.
  void deal(std::span<const std::uint8_t> degrees, std::span<const Hand> hands, FastRandom& random) {
    std::fill(end_.begin(), end_.end(), 0);
    for (const std::uint8_t degree : degrees) ++end_[degree];
    for (std::size_t d = end_.size() - 1; d-- > 0;) end_[d] += end_[d + 1];
    order_.resize(degrees.size());
    for (std::size_t i = 0; i < order_.size(); ++i) order_[i] = static_cast<std::uint32_t>(i);
    rows_.resize(degrees.size() * topk_);
    for (const Hand& hand : hands) give(hand, random);
  }

  std::span<const std::int32_t> row(std::size_t i) const {
    return std::span(rows_).subspan(i * topk_, topk_);
  }

 private:
  /// Serves whole degrees from the highest down and a random part of the last. Served rows move to the end of
  /// their degree's range, which then becomes the start of the next lower one: no row is served twice.
  void give(Hand hand, FastRandom& random) {
    std::uint32_t first = 0;
    for (std::size_t degree = topk_; hand.tokens > 0; --degree) {
      EPSKEW_ASSERT(degree > 0);
      const std::uint32_t last = end_[degree];
      const std::uint32_t served = std::min(hand.tokens, last - first);
      std::int32_t* column = rows_.data() + degree - 1;
      for (std::uint32_t i = last; i > last - served; --i) {
        std::swap(order_[i - 1], order_[first + random.below(i - first)]);
        column[order_[i - 1] * topk_] = hand.expert;
      }
      end_[degree] = last - served;
      hand.tokens -= served;
      first = last;
    }
  }

  std::size_t topk_;
  std::vector<std::uint32_t> end_;  ///< by degree: rows whose remaining degree is at least that
  std::vector<std::uint32_t> order_;
  std::vector<std::int32_t> rows_;  ///< [rows][topk]; a row of degree d ends up in its first d entries
};

std::vector<std::uint32_t> count_degrees(const Rows& rows) {
  std::vector<std::uint32_t> tokens_with(static_cast<std::size_t>(rows.topk) + 1, 0);
  for (const std::uint8_t degree : rows.degrees) ++tokens_with[degree];
  return tokens_with;
}

/// Tokens by descending degree, those of one degree in random order.
std::vector<std::uint32_t> random_tokens_by_degree(const Rows& rows,
                                                   const std::vector<std::uint32_t>& tokens_with,
                                                   std::uint64_t seed) {
  std::vector<std::uint32_t> next(tokens_with.size(), 0);
  for (std::size_t d = tokens_with.size() - 1; d-- > 0;) next[d] = next[d + 1] + tokens_with[d + 1];
  std::vector<std::uint32_t> tokens(rows.degrees.size());
  for (std::size_t token = 0; token < tokens.size(); ++token) {
    tokens[next[rows.degrees[token]]++] = static_cast<std::uint32_t>(token);
  }
  FastRandom random(seed, Stream::token_order, 0);
  for (std::size_t d = 0; d < next.size(); ++d) {
    shuffle_fast(std::span(tokens).subspan(next[d] - tokens_with[d], tokens_with[d]), random);
  }
  return tokens;
}

DealPlan plan_deal(const std::vector<std::uint32_t>& tokens_with, std::span<const std::int64_t> expert_counts,
                   std::uint64_t seed) {
  std::vector<Hand> hands;
  for (std::size_t expert = 0; expert < expert_counts.size(); ++expert) {
    if (expert_counts[expert] == 0) continue;
    hands.push_back({static_cast<std::int32_t>(expert), static_cast<std::uint32_t>(expert_counts[expert])});
  }
  FastRandom random(seed, Stream::expert_order, 0);
  shuffle_fast(hands, random);
  return DealPlan(tokens_with, hands);
}

}  // namespace

void deal(const Rows& rows, std::span<const std::int64_t> expert_counts, std::uint64_t seed) {
  const std::vector<std::uint32_t> tokens_with = count_degrees(rows);
  const DealPlan plan = plan_deal(tokens_with, expert_counts, seed);
  const std::vector<std::uint32_t> tokens = random_tokens_by_degree(rows, tokens_with, seed);
  const auto num_tokens = static_cast<std::uint32_t>(tokens.size());
  const std::uint32_t num_blocks = std::max(1u, num_tokens / block_tokens);
  const auto topk = static_cast<std::size_t>(rows.topk);
  BlockDealer dealer(rows.topk);
  std::vector<Hand> hands;
  std::vector<std::uint8_t> degrees;
  for (std::uint32_t block = 0; block < num_blocks; ++block) {
    FastRandom random(seed, Stream::deal, block);
    plan.hands_of(block, num_blocks, hands);
    shuffle_fast(hands, random);
    degrees.clear();
    for (std::uint32_t row = block; row < num_tokens; row += num_blocks)
      degrees.push_back(rows.degrees[tokens[row]]);
    dealer.deal(degrees, hands, random);
    for (std::size_t i = 0; i < degrees.size(); ++i) {
      const std::size_t token = tokens[block + i * num_blocks];
      std::copy_n(dealer.row(i).data(), topk, rows.experts.data() + token * topk);
    }
  }
  trade(rows, expert_counts.size(), seed);
}

}  // namespace epskew
