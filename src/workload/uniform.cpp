#include "workload/uniform.hpp"

#include <algorithm>
#include <vector>

#include "workload/fast_random.hpp"
#include "workload/normal_floor.hpp"

namespace epskew {
namespace {

constexpr std::size_t block_tokens = 256;

/// Draws distinct numbers below a bound; a stamp per number instead of clearing.
class DistinctDraw {
 public:
  explicit DistinctDraw(int bound) : last_(static_cast<std::size_t>(bound), 0) {}

  void start() { ++token_; }
  std::uint32_t next(FastRandom& random) {
    for (;;) {
      const std::uint32_t drawn = random.below(static_cast<std::uint32_t>(last_.size()));
      if (last_[drawn] == token_) continue;
      last_[drawn] = token_;
      return drawn;
    }
  }

 private:
  std::vector<std::uint64_t> last_;
  std::uint64_t token_ = 0;
};

/// One token's experts after another, honouring expert groups.
class UniformToken {
 public:
  UniformToken(const WorkloadSpec& spec)
      : group_size_(spec.num_experts / spec.num_groups),
        chosen_(static_cast<std::size_t>(spec.topk_groups)),
        groups_(spec.num_groups),
        inside_(spec.topk_groups * group_size_) {}

  void draw(std::span<std::int32_t> row, FastRandom& random) {
    groups_.start();
    for (std::int32_t& group : chosen_) group = static_cast<std::int32_t>(groups_.next(random));
    inside_.start();
    for (std::int32_t& expert : row) {
      const auto drawn = static_cast<std::int32_t>(inside_.next(random));
      expert = chosen_[static_cast<std::size_t>(drawn / group_size_)] * group_size_ + drawn % group_size_;
    }
  }

 private:
  std::int32_t group_size_;
  std::vector<std::int32_t> chosen_;
  DistinctDraw groups_;
  DistinctDraw inside_;
};

double simulated_floor(const WorkloadSpec& spec, std::int64_t selections, int draws) {
  const std::int64_t tokens = (selections + spec.topk - 1) / spec.topk;
  std::vector<std::int64_t> loads(static_cast<std::size_t>(spec.num_ranks()));
  std::vector<std::int32_t> row(static_cast<std::size_t>(spec.topk));
  const std::int32_t experts_per_rank = spec.num_experts / spec.num_ranks();
  UniformToken token(spec);
  double sum = 0.0;
  for (int i = 0; i < draws; ++i) {
    FastRandom random(0, Stream::floor, static_cast<std::uint64_t>(i));
    std::fill(loads.begin(), loads.end(), 0);
    std::int64_t left = selections;
    for (std::int64_t t = 0; t < tokens; ++t) {
      const auto taken = static_cast<std::size_t>(std::min<std::int64_t>(left, spec.topk));
      token.draw(std::span(row).first(taken), random);
      for (const std::int32_t expert : std::span(row).first(taken)) {
        ++loads[static_cast<std::size_t>(expert / experts_per_rank)];
      }
      left -= static_cast<std::int64_t>(taken);
    }
    sum += static_cast<double>(*std::max_element(loads.begin(), loads.end()));
  }
  return sum / draws * spec.num_ranks() / static_cast<double>(selections);
}

}  // namespace

void draw_uniform(const Rows& rows, const WorkloadSpec& spec) {
  const auto topk = static_cast<std::size_t>(rows.topk);
  UniformToken token(spec);
  for (std::size_t first = 0; first < rows.degrees.size(); first += block_tokens) {
    FastRandom random(spec.seed, Stream::uniform_experts, first / block_tokens);
    for (std::size_t t = first; t < std::min(first + block_tokens, rows.degrees.size()); ++t) {
      token.draw(rows.experts.subspan(t * topk, rows.degrees[t]), random);
    }
  }
}

double uniform_floor(const WorkloadSpec& spec, std::int64_t selections) {
  constexpr double small_mean = 16.0;
  constexpr std::int64_t draw_budget = 1 << 15;  // selections drawn at most, well below a millisecond
  if (selections == 0 || spec.num_ranks() == 1) return 1.0;
  const double mean = static_cast<double>(selections) / spec.num_ranks();
  if (mean >= small_mean) return normal_floor(spec, mean);
  return simulated_floor(spec, selections,
                         static_cast<int>(std::clamp<std::int64_t>(draw_budget / selections, 4, 256)));
}

}  // namespace epskew
