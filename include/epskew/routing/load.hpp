#pragma once

/// Loads and the imbalance metrics of DESIGN §2, all counted after masking.

#include <cstdint>
#include <span>
#include <vector>

#include "epskew/routing/routing_table.hpp"

namespace epskew {

/// One set of loads (of ranks, of experts, of messages) and every metric of it that the field uses.
struct LoadMetrics {
  std::vector<std::int64_t> loads;
  std::int64_t max = 0;
  std::int64_t min = 0;
  double mean = 0;
  double median = 0;
  double std = 0;           ///< population standard deviation
  double factor = 0;        ///< max / mean; 1 where there is no load at all
  double balancedness = 0;  ///< mean / max = 1 / factor
  double max_vio = 0;       ///< factor - 1
  double cv = 0;            ///< std / mean
  double gini = 0;
  double entropy = 0;      ///< normalised: H / ln(n); 1 = uniform; 1 for n = 1
  std::int64_t empty = 0;  ///< entries with no load
  int hot = 0;             ///< index of the largest load, the lowest such index
};

/// Metrics of any non-empty set of loads. Copies `loads`.
LoadMetrics measure_loads(std::span<const std::int64_t> loads);

/// What one routing looks like from every side.
struct RoutingLoad {
  LoadMetrics rank;     ///< selections per destination rank: its factor is *the* imbalance factor
  LoadMetrics expert;   ///< selections per expert
  LoadMetrics message;  ///< messages (token, distinct rank) per destination rank
  std::vector<std::int64_t> selections;  ///< [num_ranks source][num_ranks destination]
  std::vector<std::int64_t> messages;    ///< [num_ranks source][num_ranks destination]
  /// DeepEP V2's ratio: hot rank's messages / mean of the other ranks' messages. 1 for one rank or no load at
  /// all, infinite where only the hot rank has load.
  double hot_over_others = 0;
  int hottest_source = 0;  ///< of the source→destination pair with the most selections
  int hottest_destination = 0;
};

/// Precondition: `table` is valid (see validate).
RoutingLoad count_load(const RoutingTable& table);

}  // namespace epskew
