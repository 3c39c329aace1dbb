#pragma once

/// Operations that have nothing in common: each its own routing and its own data, so that whatever an earlier
/// one left behind (counts, rows, results, flags) is wrong. A loop that repeats one routing cannot see a rank
/// that works on old counts.

#include <cstdint>
#include <string>

#include "epskew/exchange/exchange.hpp"

namespace epskew::testing {

struct FreshPlan {
  int num_ranks = 6;
  int operations = 16;  ///< of every micro-batch
  std::uint64_t seed = 0;
};

/// The shape that all its routings fit.
ExchangeShape shape_of(const FreshPlan& plan);

/// The first mismatch of this process's ranks with the operation it was found in, or an empty string.
/// Collective: a rank that finds a mismatch goes on to the end.
std::string run_fresh_operations(Exchange& exchange, const FreshPlan& plan);

}  // namespace epskew::testing
