#include "epskew/exchange/pressure.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <array>
#include <chrono>
#include <cstring>
#include <string>

#include "epskew/exchange/oracle.hpp"
#include "epskew/support/error.hpp"

namespace epskew {
namespace {

std::uint64_t hash_row(const DispatchOutput& output, const ExchangeShape& shape, std::int64_t row,
                       std::uint64_t seed) {
  const auto stored = static_cast<std::size_t>(output.storage(row));
  const auto groups = static_cast<std::size_t>(shape.num_scales());
  const std::size_t bytes = row_bytes(output.format, shape.hidden);
  std::uint64_t hash = XXH3_64bits_withSeed(output.rows.data() + stored * bytes, bytes, seed);
  if (!output.scales.empty()) {
    hash = XXH3_64bits_withSeed(output.scales.data() + stored * groups, groups * sizeof(float), hash);
  }
  if (!output.scale_bytes.empty()) {
    hash = XXH3_64bits_withSeed(output.scale_bytes.data() + stored * groups, groups, hash);
  }
  return hash;
}

/// One operation of every local rank on the oracle's input; the sum of all hashes.
std::uint64_t hash_operation(Exchange& exchange, const Oracle& oracle) {
  std::uint64_t hash = 0;
  const auto ranks = exchange.local_ranks();
  exchange.dispatch(0);
  for (int local = 0; local < static_cast<int>(ranks.size()); ++local) {
    const DispatchOutput output = exchange.dispatch_output(local, 0);
    hash += hash_of(output, exchange.shape());
    oracle.apply_experts(ranks[static_cast<std::size_t>(local)], output, exchange.expert_output(local, 0));
    exchange.commit_expert_output(local, 0);
  }
  exchange.combine(0);
  for (int local = 0; local < static_cast<int>(ranks.size()); ++local) {
    hash += hash_of(exchange.combine_output(local, 0));
  }
  return hash;
}

std::string press_seed(Exchange& exchange, const RoutingTable& table, std::uint64_t seed, int repeats) {
  Oracle exact(table, exchange.shape(), exchange.options(), OracleData::exact, seed);
  if (const auto mismatch = run_oracle(exchange, exact)) {
    throw WrongResult(fmt::format("seed {}: {}", seed, to_string(*mismatch)));
  }
  Oracle random(table, exchange.shape(), exchange.options(), OracleData::random, seed);
  const auto ranks = exchange.local_ranks();
  for (int local = 0; local < static_cast<int>(ranks.size()); ++local) {
    exchange.set_input(local, 0, random.input(ranks[static_cast<std::size_t>(local)]));
  }
  std::uint64_t first = 0;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    const std::uint64_t hash = hash_operation(exchange, random);
    if (repeat == 0) first = hash;
    if (hash == first) continue;
    throw WrongResult(
        fmt::format("seed {}: rank {}, repeat {}: hash {:016x} differs from {:016x} of the first", seed,
                    ranks[0], repeat, hash, first));
  }
  return {reinterpret_cast<const char*>(&first), sizeof first};
}

}  // namespace

std::uint64_t hash_of(const DispatchOutput& output, const ExchangeShape& shape) {
  std::uint64_t sum = 0;
  for (std::size_t cell = 0; cell < output.source_range.size(); ++cell) {
    const RowRange range = output.source_range[cell];
    for (std::int64_t row = range.begin; row < range.begin + range.count; ++row) {
      const std::array<std::uint64_t, 2> place = {
          cell, static_cast<std::uint64_t>(output.source_token[static_cast<std::size_t>(row)])};
      sum += hash_row(output, shape, row, XXH3_64bits(place.data(), sizeof place));
    }
  }
  return sum;
}

std::uint64_t hash_of(std::span<const BFloat16> combined) {
  return XXH3_64bits(combined.data(), combined.size_bytes());
}

PressureResult run_pressure_test(
    World& world, const ExchangeOptions& options,
    const std::function<RoutingTable(std::uint64_t seed)>& make_table, const PressurePlan& plan,
    const std::function<void(std::uint64_t seed, std::uint64_t hash)>& seed_done) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const auto time_left = [&] {
    return plan.seconds <= 0 || std::chrono::duration<double>(Clock::now() - start).count() < plan.seconds;
  };
  PressureResult result;
  do {
    const std::uint64_t seed = plan.first_seed + result.seeds;
    const RoutingTable table = make_table(seed);
    const auto reports =
        world.run([&](Exchange& exchange) { return press_seed(exchange, table, seed, plan.repeats); });
    std::uint64_t sum = 0;
    for (const std::string& report : reports) {
      std::uint64_t hash = 0;
      std::memcpy(&hash, report.data(), std::min(report.size(), sizeof hash));
      sum += hash;
    }
    ++result.seeds;
    result.operations += static_cast<std::uint64_t>(plan.repeats + 2 * options.micro_batches);
    if (world.is_root() && seed_done) seed_done(seed, sum);
  } while (time_left());
  return result;
}

}  // namespace epskew
