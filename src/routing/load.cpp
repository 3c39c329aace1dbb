#include "epskew/routing/load.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "epskew/support/error.hpp"

namespace epskew {
namespace {

double median_of(const std::vector<std::int64_t>& sorted) {
  const std::size_t n = sorted.size();
  const auto upper = static_cast<double>(sorted[n / 2]);
  return n % 2 == 1 ? upper : 0.5 * (upper + static_cast<double>(sorted[n / 2 - 1]));
}

/// sum over i of (2i - n - 1) x_i / (n sum x), x ascending, i from 1: half the relative mean difference.
double gini_of(const std::vector<std::int64_t>& sorted, double sum) {
  const auto n = static_cast<double>(sorted.size());
  double weighted = 0.0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    weighted += (2.0 * static_cast<double>(i + 1) - n - 1.0) * static_cast<double>(sorted[i]);
  }
  return weighted / (n * sum);
}

double entropy_of(std::span<const std::int64_t> loads, double sum) {
  if (loads.size() == 1) return 1.0;
  double entropy = 0.0;
  for (const std::int64_t load : loads) {
    const double share = static_cast<double>(load) / sum;
    if (share > 0.0) entropy -= share * std::log(share);
  }
  return entropy / std::log(static_cast<double>(loads.size()));
}

double std_of(std::span<const std::int64_t> loads, double mean) {
  double squares = 0.0;
  for (const std::int64_t load : loads)
    squares += (static_cast<double>(load) - mean) * (static_cast<double>(load) - mean);
  return std::sqrt(squares / static_cast<double>(loads.size()));
}

/// Counts one token's selections and messages; `row` are the source rank's rows of both matrices.
class PairCounter {
 public:
  explicit PairCounter(const RoutingTable& table)
      : experts_per_rank_(table.experts_per_rank()),
        last_token_(static_cast<std::size_t>(table.num_ranks()), -1) {}

  void count(std::span<const std::int32_t> experts, std::int64_t token, std::int64_t* selections,
             std::int64_t* messages, std::vector<std::int64_t>& expert_loads) {
    for (const std::int32_t expert : experts) {
      if (expert < 0) continue;
      const auto rank = static_cast<std::size_t>(expert / experts_per_rank_);
      ++expert_loads[static_cast<std::size_t>(expert)];
      ++selections[rank];
      if (last_token_[rank] != token) ++messages[rank];
      last_token_[rank] = token;
    }
  }

 private:
  int experts_per_rank_;
  std::vector<std::int64_t> last_token_;  ///< per destination rank, the last token that went there
};

std::vector<std::int64_t> column_sums(const std::vector<std::int64_t>& matrix, std::size_t columns) {
  std::vector<std::int64_t> sums(columns, 0);
  for (std::size_t i = 0; i < matrix.size(); ++i) sums[i % columns] += matrix[i];
  return sums;
}

double hot_over_others(const LoadMetrics& message, int hot) {
  if (message.loads.size() == 1 || message.max == 0) return 1.0;
  const auto own = static_cast<double>(message.loads[static_cast<std::size_t>(hot)]);
  const double all = message.mean * static_cast<double>(message.loads.size());
  const double others = (all - own) / static_cast<double>(message.loads.size() - 1);
  return own / others;
}

}  // namespace

LoadMetrics measure_loads(std::span<const std::int64_t> loads) {
  EPSKEW_EXPECT(!loads.empty());
  LoadMetrics metrics;
  metrics.loads.assign(loads.begin(), loads.end());
  std::vector<std::int64_t> sorted = metrics.loads;
  std::sort(sorted.begin(), sorted.end());
  metrics.max = sorted.back();
  metrics.min = sorted.front();
  metrics.median = median_of(sorted);
  metrics.hot = static_cast<int>(std::find(loads.begin(), loads.end(), metrics.max) - loads.begin());
  metrics.empty = std::count(loads.begin(), loads.end(), 0);
  const auto sum = static_cast<double>(std::accumulate(loads.begin(), loads.end(), std::int64_t{0}));
  metrics.mean = sum / static_cast<double>(loads.size());
  metrics.std = std_of(loads, metrics.mean);
  metrics.factor = metrics.balancedness = metrics.entropy = 1.0;
  if (sum == 0.0) return metrics;
  metrics.factor = static_cast<double>(metrics.max) / metrics.mean;
  metrics.balancedness = metrics.mean / static_cast<double>(metrics.max);
  metrics.max_vio = metrics.factor - 1.0;
  metrics.cv = metrics.std / metrics.mean;
  metrics.gini = gini_of(sorted, sum);
  metrics.entropy = entropy_of(loads, sum);
  return metrics;
}

RoutingLoad count_load(const RoutingTable& table) {
  const auto ranks = static_cast<std::size_t>(table.num_ranks());
  RoutingLoad load;
  load.selections.assign(ranks * ranks, 0);
  load.messages.assign(ranks * ranks, 0);
  std::vector<std::int64_t> experts(static_cast<std::size_t>(table.num_experts), 0);
  PairCounter counter(table);
  std::span<const std::int32_t> rest = table.topk_idx;
  std::int64_t token = 0;
  for (std::size_t source = 0; source < ranks; ++source) {
    for (std::int32_t i = 0; i < table.tokens_per_rank[source]; ++i, ++token) {
      counter.count(rest.first(static_cast<std::size_t>(table.topk)), token, &load.selections[source * ranks],
                    &load.messages[source * ranks], experts);
      rest = rest.subspan(static_cast<std::size_t>(table.topk));
    }
  }
  load.rank = measure_loads(column_sums(load.selections, ranks));
  load.expert = measure_loads(experts);
  load.message = measure_loads(column_sums(load.messages, ranks));
  load.hot_over_others = hot_over_others(load.message, load.rank.hot);
  const auto hottest =
      std::max_element(load.selections.begin(), load.selections.end()) - load.selections.begin();
  load.hottest_source = static_cast<int>(static_cast<std::size_t>(hottest) / ranks);
  load.hottest_destination = static_cast<int>(static_cast<std::size_t>(hottest) % ranks);
  return load;
}

}  // namespace epskew
