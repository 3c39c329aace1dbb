#include "workload/multinomial.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "epskew/support/error.hpp"
#include "workload/bound.hpp"
#include "workload/fast_random.hpp"

namespace epskew {
namespace {

/// -ln((i + 1/2) / 2^32). Only additions, products and quotients, so that it is the same on every machine:
/// libm's logarithm may differ in the last bit, and that could swap two experts.
double minus_log(std::uint32_t i) {
  constexpr double ln2 = 0.69314718055994530942;
  int exponent = 0;
  const double mantissa = std::frexp((static_cast<double>(i) + 0.5) * 0x1p-32, &exponent);  // in [1/2, 1)
  // ln m = 2 artanh((m - c) / (m + c)) + ln c with c = 3/4; |s| <= 1/5, and the series is cut below 1e-12.
  constexpr double centre = 0.75;
  constexpr double ln_centre = -0.28768207245178092744;
  const double s = (mantissa - centre) / (mantissa + centre);
  const double s2 = s * s;
  double series = 0.0;
  for (int power = 15; power >= 1; power -= 2) series = series * s2 + 1.0 / power;
  return -(2.0 * s * series + ln_centre + exponent * ln2);
}

/// Draws tokens one after another from one popularity.
class Race {
 public:
  Race(const WorkloadSpec& spec, const std::vector<std::int32_t>& slots)
      : spec_(spec), slots_(slots), arrival_(slots.size()), mean_time_(slots.size()) {}

  void set_law(const Law& law) {
    // Below 2^-40 of the mean an expert is as good as never drawn, yet a token can still be filled up with
    // them.
    const std::vector<double> curve = law.curve(static_cast<int>(slots_.size()));
    for (std::size_t i = 0; i < curve.size(); ++i) {
      mean_time_[static_cast<std::size_t>(slots_[i])] = 1.0 / std::max(curve[i], 0x1p-40);
    }
  }

  /// The row.size() first experts to arrive, in order of arrival.
  void draw(std::span<std::int32_t> row, std::uint64_t token) {
    FastRandom random(spec_.seed, Stream::gumbel, token);
    for (std::size_t slot = 0; slot < arrival_.size(); ++slot) {
      arrival_[slot] = minus_log(static_cast<std::uint32_t>(random.next() >> 32)) * mean_time_[slot];
    }
    if (spec_.topk_groups < spec_.num_groups) keep_best_groups();
    order_.resize(arrival_.size());
    for (std::size_t slot = 0; slot < order_.size(); ++slot) order_[slot] = static_cast<std::int32_t>(slot);
    const auto earlier = [&](std::int32_t a, std::int32_t b) {
      return arrival_[static_cast<std::size_t>(a)] < arrival_[static_cast<std::size_t>(b)];
    };
    std::partial_sort(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(row.size()), order_.end(),
                      earlier);
    std::copy_n(order_.begin(), row.size(), row.begin());
  }

 private:
  void keep_best_groups() {
    const std::size_t size = arrival_.size() / static_cast<std::size_t>(spec_.num_groups);
    std::vector<std::pair<double, std::size_t>> groups;
    for (std::size_t first = 0; first < arrival_.size(); first += size) {
      const auto begin = arrival_.begin() + static_cast<std::ptrdiff_t>(first);
      groups.emplace_back(*std::min_element(begin, begin + static_cast<std::ptrdiff_t>(size)), first);
    }
    std::sort(groups.begin(), groups.end());
    for (std::size_t i = static_cast<std::size_t>(spec_.topk_groups); i < groups.size(); ++i) {
      const auto begin = arrival_.begin() + static_cast<std::ptrdiff_t>(groups[i].second);
      std::fill(begin, begin + static_cast<std::ptrdiff_t>(size), std::numeric_limits<double>::infinity());
    }
  }

  const WorkloadSpec& spec_;
  const std::vector<std::int32_t>& slots_;
  std::vector<double> arrival_;
  std::vector<double> mean_time_;
  std::vector<std::int32_t> order_;
};

/// The factor over ranks of every `stride`-th token.
double drawn_factor(Race& race, const Rows& rows, const WorkloadSpec& spec, std::size_t stride) {
  std::vector<std::int64_t> loads(static_cast<std::size_t>(spec.num_ranks()), 0);
  std::vector<std::int32_t> row(static_cast<std::size_t>(rows.topk));
  const int experts_per_rank = spec.num_experts / spec.num_ranks();
  std::int64_t drawn = 0;
  for (std::size_t token = 0; token < rows.degrees.size(); token += stride) {
    race.draw(row, token);
    for (const std::int32_t slot : row) ++loads[static_cast<std::size_t>(slot / experts_per_rank)];
    drawn += rows.topk;
  }
  if (drawn == 0) return 1.0;
  return static_cast<double>(*std::max_element(loads.begin(), loads.end())) * spec.num_ranks() /
         static_cast<double>(drawn);
}

Law bisect(Race& race, const Rows& rows, const WorkloadSpec& spec) {
  constexpr int steps = 20;
  constexpr std::size_t sample = 4096;
  const std::size_t stride = std::max<std::size_t>(1, rows.degrees.size() / sample);
  double low = 0.0;
  double high = 32.0;
  double best = 0.0;
  double best_miss = std::numeric_limits<double>::infinity();
  for (int i = 0; i < steps; ++i) {
    const double spread = 0.5 * (low + high);
    race.set_law(Law::of_spread(spec, spread));
    const double factor = drawn_factor(race, rows, spec, stride);
    if (std::abs(factor - *spec.factor) < best_miss) {
      best_miss = std::abs(factor - *spec.factor);
      best = spread;
    }
    (factor < *spec.factor ? low : high) = spread;
  }
  return Law::of_spread(spec, best);
}

}  // namespace

Law draw_multinomial(const Rows& rows, const WorkloadSpec& spec, const Capacity& capacity) {
  if (spec.hot_rank) {
    throw UsageError(
        "--hot-rank has no use with --sampling multinomial (the draw decides which rank is hot); leave it "
        "out");
  }
  if (spec.factor) hot_load(spec, capacity, *spec.factor);
  const Placement placement =
      spec.placement ? *spec.placement : random_placement(spec.num_experts, spec.seed);
  validate(placement, spec.num_experts, "--placement");
  Race race(spec, placement.slot_of_expert);
  const Law law = spec.factor ? bisect(race, rows, spec) : Law::of_shape(spec);
  race.set_law(law);
  const auto topk = static_cast<std::size_t>(rows.topk);
  for (std::size_t token = 0; token < rows.degrees.size(); ++token) {
    const std::span<std::int32_t> row = rows.experts.subspan(token * topk, topk);
    race.draw(row, token);
    // Masking takes random entries, not the last to arrive.
    FastRandom random(spec.seed, Stream::mask, (std::uint64_t{1} << 32) + token);
    Digits digits(random);
    for (std::size_t i = rows.degrees[token] == topk ? 0 : row.size(); i > 1; --i) {
      std::swap(row[i - 1], row[digits.below(static_cast<std::uint32_t>(i))]);
    }
  }
  return law;
}

}  // namespace epskew
