#include "workload/trade.hpp"

#include <algorithm>
#include <vector>

#include "workload/fast_random.hpp"

namespace epskew {
namespace {

/// Trades between two tokens; remembers which experts it saw by a stamp that grows, so nothing is cleared.
class Trader {
 public:
  Trader(std::size_t num_experts, int topk)
      : stamp_(num_experts, 0), pool_(2 * static_cast<std::size_t>(topk)) {}

  void trade(std::span<std::int32_t> a, std::span<std::int32_t> b, FastRandom& random) {
    mark_ += 2;
    for (const std::int32_t expert : a) stamp_of(expert) = mark_;
    const std::size_t from_b = keep_shared_first(b, mark_, pool_.data());
    const std::size_t from_a = keep_shared_first(a, mark_ + 1, pool_.data() + from_b);
    const std::size_t pooled = from_a + from_b;
    Digits digits(random);
    for (std::size_t i = 0; i < std::min(from_a, from_b); ++i) {
      std::swap(pool_[i], pool_[i + digits.below(static_cast<std::uint32_t>(pooled - i))]);
    }
    // The shuffled front goes to whoever needs fewer.
    const bool front_to_a = from_a <= from_b;
    std::copy_n(pool_.data() + (front_to_a ? 0 : from_b), from_a, a.data() + (a.size() - from_a));
    std::copy_n(pool_.data() + (front_to_a ? from_a : 0), from_b, b.data() + (b.size() - from_b));
  }

 private:
  std::uint32_t& stamp_of(std::int32_t expert) { return stamp_[static_cast<std::size_t>(expert)]; }

  /// Moves the experts that both tokens have to the front of `row`, the others to `own`. For b (marks of a
  /// are `mark_`) a shared expert is stamped once more, so that for a it is known by `mark_ + 1`.
  std::size_t keep_shared_first(std::span<std::int32_t> row, std::uint32_t shared_mark, std::int32_t* own) {
    std::size_t shared = 0;
    std::size_t others = 0;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::int32_t expert = row[i];
      if (stamp_of(expert) == shared_mark) {
        stamp_of(expert) = mark_ + 1;
        row[shared++] = expert;
      } else {
        own[others++] = expert;
      }
    }
    return others;
  }

  std::vector<std::uint32_t> stamp_;
  std::vector<std::int32_t> pool_;
  std::uint32_t mark_ = 0;
};

int rounds_for(std::size_t tokens) {
  return tokens <= (std::size_t{1} << 14) ? 10 : 2;
}

}  // namespace

void trade(const Rows& rows, std::size_t num_experts, std::uint64_t seed) {
  const std::size_t tokens = rows.degrees.size();
  const auto topk = static_cast<std::size_t>(rows.topk);
  Trader trader(num_experts, rows.topk);
  const int rounds = rounds_for(tokens);
  for (int round = 0; round < rounds; ++round) {
    const std::size_t distance = std::size_t{1} << round;
    FastRandom random(seed, Stream::trade, static_cast<std::uint64_t>(round));
    for (std::size_t token = 0; token + distance < tokens; ++token) {
      if ((token & distance) != 0) continue;
      const std::size_t other = token + distance;
      trader.trade(rows.experts.subspan(token * topk, rows.degrees[token]),
                   rows.experts.subspan(other * topk, rows.degrees[other]), random);
    }
  }
}

}  // namespace epskew
