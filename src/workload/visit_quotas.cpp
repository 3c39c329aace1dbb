#include "workload/visit_quotas.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "workload/fast_random.hpp"

namespace epskew {
namespace {

/// What groups still have to get and from how many visits.
struct Remaining {
  std::vector<std::int64_t> selections;
  std::vector<std::int64_t> visits;
};

/// Gives one token its quotas near what each of its groups needs on average per remaining visit.
void share_out(std::span<const std::int32_t> groups, std::span<std::uint8_t> quota, int degree, int most,
               Remaining& left, FastRandom& random) {
  std::array<double, 256> want;
  int open = degree;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const auto group = static_cast<std::size_t>(groups[i]);
    want[i] = static_cast<double>(std::max<std::int64_t>(left.selections[group], 0)) /
              static_cast<double>(left.visits[group]);
    quota[i] = static_cast<std::uint8_t>(std::min<double>(std::floor(want[i]), most));
    want[i] += 0.5 * static_cast<double>(random.next() >> 11) * 0x1p-53;  // no fixed order among equals
    open -= quota[i];
  }
  while (open != 0) {
    // The visit that is furthest below (or above) what it wants, among those that can change.
    std::optional<std::size_t> best;
    const auto lack = [&](std::size_t i) { return (want[i] - quota[i]) * (open > 0 ? 1.0 : -1.0); };
    for (std::size_t i = 0; i < groups.size(); ++i) {
      const bool can_change = open > 0 ? quota[i] < most : quota[i] > 0;
      if (can_change && (!best || lack(i) > lack(*best))) best = i;
    }
    quota[*best] = static_cast<std::uint8_t>(quota[*best] + (open > 0 ? 1 : -1));
    open += open > 0 ? -1 : 1;
  }
  for (std::size_t i = 0; i < groups.size(); ++i) {
    left.selections[static_cast<std::size_t>(groups[i])] -= quota[i];
    --left.visits[static_cast<std::size_t>(groups[i])];
  }
}

/// Moves single selections from groups that got too many to groups that got too few.
class Balancer {
 public:
  /// lack[g]: what group g still misses; negative where it has too many.
  Balancer(Visits& visits, std::vector<std::int64_t> lack, int most)
      : visits_(visits), lack_(std::move(lack)), most_(most) {}

  bool run() {
    while (move_within_tokens()) {
    }
    while (std::any_of(lack_.begin(), lack_.end(), [](std::int64_t n) { return n != 0; })) {
      if (!move_along_path()) return false;
    }
    return true;
  }

 private:
  struct Step {
    std::size_t token;
    std::size_t from;  ///< index among the token's visits
    std::size_t to;
  };

  std::size_t group(std::size_t token, std::size_t visit) const {
    return static_cast<std::size_t>(visits_.groups[token * width() + visit]);
  }
  std::uint8_t& quota(std::size_t token, std::size_t visit) { return visits_.quota[token * width() + visit]; }
  std::size_t width() const { return static_cast<std::size_t>(visits_.width); }
  bool can_move(const Step& step) {
    return quota(step.token, step.from) > 0 && quota(step.token, step.to) < most_;
  }

  void apply(const Step& step) {
    --quota(step.token, step.from);
    ++quota(step.token, step.to);
    ++lack_[group(step.token, step.from)];
    --lack_[group(step.token, step.to)];
  }

  /// One pass of moves inside tokens that visit both a group with too many and one with too few.
  bool move_within_tokens() {
    bool moved = false;
    for (std::size_t token = 0; token < visits_.count.size(); ++token) {
      for_each_step(token, [&](const Step& step) {
        if (lack_[group(token, step.from)] < 0 && lack_[group(token, step.to)] > 0) {
          apply(step);
          moved = true;
        }
      });
    }
    return moved;
  }

  template <class Use>
  void for_each_step(std::size_t token, Use use) {
    for (std::size_t from = 0; from < visits_.count[token]; ++from) {
      for (std::size_t to = 0; to < visits_.count[token]; ++to) {
        const Step step{token, from, to};
        if (from != to && can_move(step)) use(step);
      }
    }
  }

  /// Breadth-first over groups, an edge being any token that can move a selection between two. On a shortest
  /// path no token can serve two edges in conflict: it would offer a shortcut.
  bool move_along_path() {
    const std::size_t groups = lack_.size();
    std::vector<std::optional<Step>> edge(groups * groups);
    for (std::size_t token = 0; token < visits_.count.size(); ++token) {
      for_each_step(token, [&](const Step& step) {
        edge[group(token, step.from) * groups + group(token, step.to)] = step;
      });
    }
    std::vector<std::optional<Step>> reached_by(groups);
    std::vector<std::size_t> queue;
    for (std::size_t g = 0; g < groups; ++g) {
      if (lack_[g] < 0) queue.push_back(g);
    }
    for (std::size_t next = 0; next < queue.size(); ++next) {
      if (lack_[queue[next]] > 0) return apply_path(queue[next], reached_by);
      for (std::size_t to = 0; to < groups; ++to) {
        const std::optional<Step>& step = edge[queue[next] * groups + to];
        if (!step || reached_by[to] || lack_[to] < 0) continue;
        reached_by[to] = step;
        queue.push_back(to);
      }
    }
    return false;
  }

  bool apply_path(std::size_t to, const std::vector<std::optional<Step>>& reached_by) {
    while (reached_by[to]) {
      const Step step = *reached_by[to];
      if (!can_move(step)) return false;
      to = group(step.token, step.from);
      apply(step);
    }
    return true;
  }

  Visits& visits_;
  std::vector<std::int64_t> lack_;
  int most_;
};

}  // namespace

bool set_quotas(Visits& visits, std::span<const std::uint8_t> degrees, std::span<const std::int64_t> totals,
                int most, std::uint64_t seed) {
  const auto width = static_cast<std::size_t>(visits.width);
  Remaining left{{totals.begin(), totals.end()}, std::vector<std::int64_t>(totals.size(), 0)};
  for (std::size_t token = 0; token < degrees.size(); ++token) {
    for (std::size_t i = 0; i < visits.count[token]; ++i) {
      ++left.visits[static_cast<std::size_t>(visits.groups[token * width + i])];
    }
  }
  visits.quota.assign(degrees.size() * width, 0);
  FastRandom random(seed, Stream::groups, 0);
  for (std::size_t token = 0; token < degrees.size(); ++token) {
    share_out(std::span(visits.groups).subspan(token * width, visits.count[token]),
              std::span(visits.quota).subspan(token * width, width), degrees[token], most, left, random);
  }
  return Balancer(visits, std::move(left.selections), most).run();
}

}  // namespace epskew
