#include "workload/apportion.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "epskew/support/error.hpp"

namespace epskew {
namespace {

/// Places still to be filled, by index, and what is left for them.
struct Open {
  std::vector<std::size_t> places;
  std::int64_t left;
};

/// Gives every place whose quota reaches the cap exactly the cap; repeats, since that raises the others'
/// quotas.
Open fill_capped(std::int64_t total, std::span<const double> weights, std::int64_t cap,
                 std::vector<std::int64_t>& parts) {
  Open open{std::vector<std::size_t>(weights.size()), total};
  std::iota(open.places.begin(), open.places.end(), std::size_t{0});
  for (bool again = true; again;) {
    double sum = 0.0;
    for (const std::size_t i : open.places) sum += weights[i];
    const double unit = static_cast<double>(open.left) / sum;
    const auto reaches_cap = [&](std::size_t i) {
      return sum > 0.0 && weights[i] * unit >= static_cast<double>(cap);
    };
    const auto kept = std::stable_partition(open.places.begin(), open.places.end(),
                                            [&](std::size_t i) { return !reaches_cap(i); });
    again = kept != open.places.end();
    for (auto place = kept; place != open.places.end(); ++place) {
      parts[*place] = std::min(cap, open.left);
      open.left -= parts[*place];
    }
    open.places.erase(kept, open.places.end());
  }
  return open;
}

}  // namespace

std::vector<std::int64_t> apportion(std::int64_t total, std::span<const double> weights, std::int64_t cap) {
  EPSKEW_EXPECT(total <= cap * static_cast<std::int64_t>(weights.size()));
  std::vector<std::int64_t> parts(weights.size(), 0);
  Open open = fill_capped(total, weights, cap, parts);
  double sum = 0.0;
  for (const std::size_t i : open.places) sum += weights[i];
  const auto share = [&](std::size_t i) {
    return sum > 0.0 ? weights[i] / sum : 1.0 / static_cast<double>(open.places.size());
  };
  const std::int64_t to_split = open.left;
  std::vector<double> remainder(weights.size(), 0.0);
  for (const std::size_t i : open.places) {
    const double quota = static_cast<double>(to_split) * share(i);
    parts[i] = std::min(static_cast<std::int64_t>(std::floor(quota)), cap);
    remainder[i] = quota - std::floor(quota);
    open.left -= parts[i];
  }
  std::stable_sort(open.places.begin(), open.places.end(),
                   [&](std::size_t a, std::size_t b) { return remainder[a] > remainder[b]; });
  // One pass, but for places at the cap and for quotas that rounding brought above the total.
  while (open.left != 0) {
    const std::int64_t step = open.left > 0 ? 1 : -1;
    for (const std::size_t i : open.places) {
      if (open.left == 0) break;
      if (parts[i] + step < 0 || parts[i] + step > cap) continue;
      parts[i] += step;
      open.left -= step;
    }
  }
  return parts;
}

}  // namespace epskew
