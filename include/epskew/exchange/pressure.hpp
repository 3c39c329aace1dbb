#pragma once

/// The same exchanges again and again: every repeat must give the same bits.

#include <cstdint>
#include <functional>

#include "epskew/exchange/world.hpp"
#include "epskew/routing/routing_table.hpp"

namespace epskew {

struct PressurePlan {
  std::uint64_t first_seed = 0;
  int repeats = 20;    ///< operations per seed and micro-batch on random data, as DeepEP's test
  double seconds = 0;  ///< no new seed is begun after so long; 0: for ever
};

struct PressureResult {
  std::uint64_t seeds = 0;
  std::uint64_t operations = 0;
};

/// Collective. For each seed: oracle on exact data, then `repeats` operations of every micro-batch on random
/// data. Three routings (those of this seed and the next two) with data of their own take turns, two
/// operations each, so that whatever is left of the last operation but one belongs to another; the second
/// goes without a set_input and its experts compute something else. The first operation of each kind is
/// checked by the oracle, the delivered rows, scales and combined tokens of all later ones must hash as those
/// of the first; then the next seed. `make_table` must be a function of the seed alone and fit the world's
/// shape. `seed_done` (may be empty) is called at the root with the seed and the hash over all ranks. Throws
/// WrongResult naming seed, rank and repeat.
PressureResult run_pressure_test(
    World& world, const ExchangeOptions& options,
    const std::function<RoutingTable(std::uint64_t seed)>& make_table, const PressurePlan& plan,
    const std::function<void(std::uint64_t seed, std::uint64_t hash)>& seed_done);

/// Order of rows within (expert, source) and of sources does not count, everything else does.
std::uint64_t hash_of(const DispatchOutput& output, const ExchangeShape& shape);
std::uint64_t hash_of(std::span<const BFloat16> combined);

}  // namespace epskew
