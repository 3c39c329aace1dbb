#include "epskew/exchange/pressure.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <array>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

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

/// A rank's hash: what two ranks deliver must not be exchangeable.
std::uint64_t placed(int rank, std::uint64_t hash) {
  const std::array<std::uint64_t, 2> words = {static_cast<std::uint64_t>(rank), hash};
  return XXH3_64bits(words.data(), sizeof words);
}

/// One of the routings and data sets that take turns, and the hashes that its operations must have.
struct DataSet {
  DataSet(const Exchange& exchange, RoutingTable the_table, std::uint64_t seed)
      : table(std::move(the_table)),
        oracle(table, exchange.shape(), exchange.options(), OracleData::random, seed) {
    oracle.accept(exchange.combine_rounding());
  }
  DataSet(const DataSet&) = delete;
  DataSet& operator=(const DataSet&) = delete;

  RoutingTable table;
  Oracle oracle;
  std::array<std::optional<std::uint64_t>, 2> hashes;  ///< by version of the experts
};

/// Sets take turns by threes, each used twice in a row: what an operation finds of the last but one (there
/// are two count matrices and, elsewhere, two buffer sets) belongs to another routing, and what it finds of
/// the last one to another routing or to other experts.
constexpr int num_sets = 3;

/// The operations of one seed on one process's ranks.
class SeedPress {
 public:
  SeedPress(Exchange& exchange, const std::vector<RoutingTable>& tables, std::uint64_t seed)
      : exchange_(exchange), seed_(seed), ranks_(exchange.local_ranks()) {
    for (const RoutingTable& table : tables) {
      const std::uint64_t own = seed * tables.size() + sets_.size();
      sets_.push_back(std::make_unique<DataSet>(exchange, table, own));
    }
  }

  /// One operation of every micro-batch, on sets that take turns. Every second one is a repetition whose
  /// inputs nobody sets again, with experts that compute something else. Micro-batches are in flight
  /// together, in halves, or come one after the other, in one call.
  void run(int repeat) {
    begin(repeat);
    const int batches = exchange_.options().micro_batches;
    if ((repeat + repeat / 2) % 2 == 0) {
      for (int batch = 0; batch < batches; ++batch) {
        set_input(batch);
        exchange_.dispatch_send(batch);
      }
      for (int batch = 0; batch < batches; ++batch) {
        exchange_.dispatch_recv(batch);
        compute(batch);
        exchange_.combine_send(batch);
      }
      for (int batch = 0; batch < batches; ++batch) {
        exchange_.combine_recv(batch);
        compare(batch);
      }
    } else {
      for (int batch = 0; batch < batches; ++batch) {
        set_input(batch);
        exchange_.dispatch(batch);
        compute(batch);
        exchange_.combine(batch);
        compare(batch);
      }
    }
  }

  /// Over all sets that were used.
  std::uint64_t hash() const {
    std::uint64_t sum = 0;
    for (const auto& set : sets_) {
      for (const auto& hash : set->hashes) sum += hash.value_or(0);
    }
    return sum;
  }

 private:
  void begin(int repeat) {
    repeat_ = repeat;
    version_ = repeat % 2;
    for (const auto& set : sets_) set->oracle.use_experts(version_);
    found_.assign(static_cast<std::size_t>(exchange_.options().micro_batches), 0);
  }
  DataSet& set_of(int batch) const {
    return *sets_[static_cast<std::size_t>(repeat_ / 2 + batch) % sets_.size()];
  }
  std::optional<std::uint64_t>& wanted(int batch) const {
    return set_of(batch).hashes[static_cast<std::size_t>(version_)];
  }
  void refuse(int rank, const std::string& problem) const {
    throw WrongResult(fmt::format("seed {}: rank {}, repeat {}: {}", seed_, rank, repeat_, problem));
  }
  void require(int rank, const std::optional<Mismatch>& mismatch) const {
    if (mismatch) refuse(rank, to_string(*mismatch));
  }

  void set_input(int batch) {
    if (version_ != 0) return;
    for (int local = 0; local < static_cast<int>(ranks_.size()); ++local) {
      const int rank = ranks_[static_cast<std::size_t>(local)];
      exchange_.set_input(local, batch, set_of(batch).oracle.input(rank));
    }
  }

  void compute(int batch) {
    const Oracle& oracle = set_of(batch).oracle;
    for (int local = 0; local < static_cast<int>(ranks_.size()); ++local) {
      const int rank = ranks_[static_cast<std::size_t>(local)];
      const DispatchOutput output = exchange_.dispatch_output(local, batch);
      // The first hash has nothing to be compared with: there the oracle says what is right.
      require(rank, wanted(batch) ? oracle.check_counts(rank, output) : oracle.check_dispatch(rank, output));
      found_[static_cast<std::size_t>(batch)] += placed(rank, hash_of(output, exchange_.shape()));
      oracle.apply_experts(rank, output, exchange_.expert_output(local, batch));
      exchange_.commit_expert_output(local, batch);
    }
  }

  void compare(int batch) {
    std::uint64_t& hash = found_[static_cast<std::size_t>(batch)];
    for (int local = 0; local < static_cast<int>(ranks_.size()); ++local) {
      const int rank = ranks_[static_cast<std::size_t>(local)];
      const auto combined = exchange_.combine_output(local, batch);
      if (!wanted(batch)) require(rank, set_of(batch).oracle.check_combine(rank, combined));
      hash += placed(rank, hash_of(combined));
    }
    if (!wanted(batch)) wanted(batch) = hash;
    if (hash == *wanted(batch)) return;
    const auto problem = fmt::format("hash {:016x} differs from {:016x} of the first", hash, *wanted(batch));
    if (ranks_.size() == 1) refuse(ranks_[0], problem);
    refuse(ranks_[0],
           fmt::format("{} (taken over ranks {} to {} together)", problem, ranks_.front(), ranks_.back()));
  }

  Exchange& exchange_;
  std::uint64_t seed_;
  std::span<const int> ranks_;
  std::vector<std::unique_ptr<DataSet>> sets_;
  int repeat_ = 0;
  int version_ = 0;                   ///< of the experts
  std::vector<std::uint64_t> found_;  ///< [micro-batches], of the operations in flight
};

std::string press_seed(Exchange& exchange, const std::vector<RoutingTable>& tables, std::uint64_t seed,
                       int repeats) {
  Oracle exact(tables[0], exchange.shape(), exchange.options(), OracleData::exact, seed);
  if (const auto mismatch = run_oracle(exchange, exact)) {
    throw WrongResult(fmt::format("seed {}: {}", seed, to_string(*mismatch)));
  }
  SeedPress press(exchange, tables, seed);
  for (int repeat = 0; repeat < repeats; ++repeat) press.run(repeat);
  const std::uint64_t hash = press.hash();
  return {reinterpret_cast<const char*>(&hash), sizeof hash};
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
    std::vector<RoutingTable> tables;
    for (std::uint64_t i = 0; i < num_sets; ++i) tables.push_back(make_table(seed + i));
    const auto reports =
        world.run([&](Exchange& exchange) { return press_seed(exchange, tables, seed, plan.repeats); });
    std::uint64_t sum = 0;
    for (const std::string& report : reports) {
      std::uint64_t hash = 0;
      std::memcpy(&hash, report.data(), std::min(report.size(), sizeof hash));
      sum += hash;
    }
    ++result.seeds;
    result.operations += static_cast<std::uint64_t>((plan.repeats + 2) * options.micro_batches);
    if (world.is_root() && seed_done) seed_done(seed, sum);
  } while (time_left());
  return result;
}

}  // namespace epskew
