#include "workload/deal.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

#include "epskew/support/error.hpp"
#include "workload/fast_random.hpp"
#include "workload/trade.hpp"

namespace epskew {
namespace {

/// Tokens of a block dealt again: small enough that its rows stay in the first-level cache.
constexpr std::size_t block_tokens = 256;

/// One expert and how many tokens it goes to.
struct Hand {
  std::int32_t expert;
  std::int32_t tokens;
};

/// Deals hands to tokens kept in order of remaining degree, highest first.
class Dealer {
 public:
  explicit Dealer(int topk) : end_(static_cast<std::size_t>(topk) + 2, 0) {}

  void deal(const Rows& rows, std::span<const Hand> hands, FastRandom& random) {
    sort_by_degree(rows);
    for (const Hand& hand : hands) give(rows, hand, random);
  }

 private:
  void sort_by_degree(const Rows& rows) {
    std::fill(end_.begin(), end_.end(), 0);
    for (const std::uint8_t degree : rows.degrees) ++end_[degree];
    std::vector<std::uint32_t>& next = next_;
    next.assign(end_.size(), 0);
    for (std::size_t d = end_.size() - 1; d-- > 0;) next[d] = next[d + 1] + end_[d + 1];
    order_.resize(rows.degrees.size());
    for (std::size_t token = 0; token < order_.size(); ++token) {
      order_[next[rows.degrees[token]]++] = static_cast<std::uint32_t>(token);
    }
    end_ = next;
  }

  /// Serves whole degrees from the highest down and a random part of the last. Served tokens move to the end
  /// of their degree's range, which then becomes the start of the next lower one: no token is served twice.
  void give(const Rows& rows, Hand hand, FastRandom& random) {
    auto left = static_cast<std::uint32_t>(hand.tokens);
    std::uint32_t first = 0;
    for (std::size_t degree = static_cast<std::size_t>(rows.topk); left > 0; --degree) {
      EPSKEW_ASSERT(degree > 0);
      const std::uint32_t last = end_[degree];
      const std::uint32_t served = std::min(left, last - first);
      std::int32_t* column = rows.experts.data() + degree - 1;
      for (std::uint32_t i = 0; i < served; ++i) {
        const std::uint32_t size = last - i - first;
        if (served != last - first) std::swap(order_[first + random.below(size)], order_[first + size - 1]);
        column[static_cast<std::size_t>(order_[first + size - 1]) * static_cast<std::size_t>(rows.topk)] =
            hand.expert;
      }
      end_[degree] = last - served;
      left -= served;
      first = last;
    }
  }

  std::vector<std::uint32_t> end_;  ///< by degree: tokens whose remaining degree is at least that
  std::vector<std::uint32_t> next_;
  std::vector<std::uint32_t> order_;
};

void deal_all(const Rows& rows, std::span<const std::int64_t> expert_counts, std::uint64_t seed) {
  std::vector<Hand> hands;
  for (std::size_t expert = 0; expert < expert_counts.size(); ++expert) {
    if (expert_counts[expert] > 0) {
      hands.push_back({static_cast<std::int32_t>(expert), static_cast<std::int32_t>(expert_counts[expert])});
    }
  }
  RandomStream order(seed, static_cast<std::uint64_t>(Stream::expert_order));
  shuffle(hands, order);
  FastRandom random(seed, Stream::deal, 0);
  Dealer(rows.topk).deal(rows, hands, random);
}

Rows block_of(const Rows& rows, std::size_t first, std::size_t tokens) {
  const auto topk = static_cast<std::size_t>(rows.topk);
  return {rows.experts.subspan(first * topk, tokens * topk), rows.degrees.subspan(first, tokens), rows.topk};
}

/// Counts the experts of a block; finds only those present, so a block costs its own size and not the expert
/// number.
class HandCounter {
 public:
  explicit HandCounter(std::size_t experts) : position_(experts, -1) {}

  std::span<Hand> count(const Rows& rows) {
    hands_.clear();
    for (std::size_t token = 0; token < rows.degrees.size(); ++token) {
      const std::int32_t* row = rows.experts.data() + token * static_cast<std::size_t>(rows.topk);
      for (int k = 0; k < rows.degrees[token]; ++k) add(row[k]);
    }
    for (const Hand& hand : hands_) position_[static_cast<std::size_t>(hand.expert)] = -1;
    return hands_;
  }

 private:
  void add(std::int32_t expert) {
    std::int32_t& position = position_[static_cast<std::size_t>(expert)];
    if (position < 0) {
      position = static_cast<std::int32_t>(hands_.size());
      hands_.push_back({expert, 0});
    }
    ++hands_[static_cast<std::size_t>(position)].tokens;
  }

  std::vector<std::int32_t> position_;
  std::vector<Hand> hands_;
};

void shuffle_hands(std::span<Hand> hands, FastRandom& random) {
  for (std::size_t i = hands.size(); i > 1; --i) {
    std::swap(hands[i - 1], hands[random.below(static_cast<std::uint32_t>(i))]);
  }
}

void deal_blocks_again(const Rows& rows, std::size_t num_experts, std::uint64_t seed) {
  Dealer dealer(rows.topk);
  HandCounter counter(num_experts);
  for (std::size_t first = 0; first < rows.degrees.size(); first += block_tokens) {
    const Rows block = block_of(rows, first, std::min(block_tokens, rows.degrees.size() - first));
    FastRandom random(seed, Stream::redeal, first / block_tokens);
    const std::span<Hand> hands = counter.count(block);
    shuffle_hands(hands, random);
    dealer.deal(block, hands, random);
  }
}

}  // namespace

void deal(const Rows& rows, std::span<const std::int64_t> expert_counts, std::uint64_t seed) {
  deal_all(rows, expert_counts, seed);
  if (rows.degrees.size() > block_tokens) deal_blocks_again(rows, expert_counts.size(), seed);
  trade(rows, expert_counts.size(), seed);
}

}  // namespace epskew
