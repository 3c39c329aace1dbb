#include "epskew/report/bandwidth.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace epskew {
namespace {

/// Bytes of the two halves of an operation.
struct Halves {
  std::int64_t dispatch = 0;
  std::int64_t combine = 0;
};

bool has_variant(const ExchangeOptions& options, const char* name, const char* value) {
  const auto found = options.variants.find(name);
  return found != options.variants.end() && found->second == value;
}

WireCopies copies_by_name(const ExchangeOptions& options) {
  return {has_variant(options, "dispatch", "dedup") ? Copies::messages : Copies::selections,
          has_variant(options, "combine", "prereduce") ? Copies::messages : Copies::selections};
}

const char* basis_name(Copies copies) {
  switch (copies) {
    case Copies::selections:
      return "selections";
    case Copies::messages:
      return "messages";
    case Copies::uncounted:
      break;
  }
  return "none";
}

std::int64_t row_sum(const std::vector<std::int64_t>& matrix, std::size_t ranks, std::size_t row) {
  const auto begin = matrix.begin() + static_cast<std::ptrdiff_t>(row * ranks);
  return std::accumulate(begin, begin + static_cast<std::ptrdiff_t>(ranks), std::int64_t{0});
}

std::int64_t column_sum(const std::vector<std::int64_t>& matrix, std::size_t ranks, std::size_t column) {
  std::int64_t sum = 0;
  for (std::size_t row = 0; row < ranks; ++row) sum += matrix[row * ranks + column];
  return sum;
}

Halves send_logical(const RoutingLoad& load, Halves unit) {
  const auto bytes = [&](std::int64_t each) {
    return static_cast<std::int64_t>(std::llround(load.rank.mean * static_cast<double>(each)));
  };
  return {bytes(unit.dispatch), bytes(unit.combine)};
}

/// One copy for each of a half's basis, [R source][R destination] of the routing.
const std::vector<std::int64_t>& copies_of(const RoutingLoad& load, const BandwidthRecord& record,
                                           const char* half) {
  return record.wire_basis.at(half) == "messages" ? load.messages : load.selections;
}

// In dispatch a rank takes in what is sent to it, in combine the results for its own tokens.
Halves hot_receive(const RoutingLoad& load, const BandwidthRecord& record, Halves unit) {
  const std::size_t ranks = load.rank.loads.size();
  const auto hot = static_cast<std::size_t>(load.rank.hot);
  return {column_sum(copies_of(load, record, "dispatch"), ranks, hot) * unit.dispatch,
          row_sum(copies_of(load, record, "combine"), ranks, hot) * unit.combine};
}

/// Bytes that leave each rank, by half.
std::vector<Halves> leaving(const RoutingLoad& load, const BandwidthRecord& record, Halves unit) {
  const std::size_t ranks = load.rank.loads.size();
  const auto& there = copies_of(load, record, "dispatch");
  const auto& back = copies_of(load, record, "combine");
  std::vector<Halves> bytes(ranks);
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    const std::size_t local = rank * ranks + rank;
    bytes[rank] = {(row_sum(there, ranks, rank) - there[local]) * unit.dispatch,
                   (column_sum(back, ranks, rank) - back[local]) * unit.combine};
  }
  return bytes;
}

template <class Count>
std::int64_t largest(const std::vector<Halves>& ranks, Count count) {
  std::int64_t most = 0;
  for (const Halves& rank : ranks) most = std::max(most, count(rank));
  return most;
}

}  // namespace

std::int64_t dispatch_bytes_per_selection(DispatchFormat format, int hidden) {
  const std::int64_t channels = hidden;
  return is_fp8(format) ? channels + channels / scale_group * 4 + 16 : channels * 2;
}

std::int64_t combine_bytes_per_selection(CombineFormat format, int hidden) {
  const std::int64_t channels = hidden;
  return format == CombineFormat::logfmt10 ? channels * 10 / 8 + channels / scale_group * 4 : channels * 2;
}

BandwidthRecord bandwidth_of(const RoutingLoad& load,
                             const std::array<std::optional<PhaseRecord>, num_phases>& timing, int hidden,
                             const ExchangeOptions& options, std::optional<WireCopies> stated) {
  const Halves unit{dispatch_bytes_per_selection(options.dispatch, hidden),
                    combine_bytes_per_selection(options.combine, hidden)};
  const auto rate = [&](Phase phase, std::int64_t bytes) {
    const auto& measured = timing[static_cast<std::size_t>(phase)];
    RateRecord record{bytes, std::nullopt};
    // bytes a microsecond are 1e6 bytes a second
    if (measured && measured->slowest_rank.p50)
      record.gb_per_s = static_cast<double>(bytes) / *measured->slowest_rank.p50 / 1e3;
    return record;
  };
  const auto rates = [&](std::int64_t dispatch, std::int64_t combine, std::int64_t both) {
    return std::map<std::string, RateRecord>{{"dispatch", rate(Phase::dispatch, dispatch)},
                                             {"combine", rate(Phase::combine, combine)},
                                             {"dispatch_combine", rate(Phase::dispatch_combine, both)}};
  };

  BandwidthRecord record;
  const WireCopies copies = stated.value_or(copies_by_name(options));
  record.wire_basis = {{"dispatch", basis_name(copies.dispatch)}, {"combine", basis_name(copies.combine)}};
  const Halves sent = send_logical(load, unit);
  const Halves taken = hot_receive(load, record, unit);
  const std::vector<Halves> left = leaving(load, record, unit);
  record.send_logical = rates(sent.dispatch, sent.combine, sent.dispatch + sent.combine);
  record.hot_receive = rates(taken.dispatch, taken.combine, taken.dispatch + taken.combine);
  record.wire = rates(largest(left, [](const Halves& rank) { return rank.dispatch; }),
                      largest(left, [](const Halves& rank) { return rank.combine; }),
                      largest(left, [](const Halves& rank) { return rank.dispatch + rank.combine; }));
  // A number with no defined numerator is not given.
  for (const char* half : {"dispatch", "combine"}) {
    if (record.wire_basis.at(half) != "none") continue;
    for (auto* rates_of : {&record.wire, &record.hot_receive}) {
      rates_of->erase(half);
      rates_of->erase("dispatch_combine");
    }
  }
  return record;
}

}  // namespace epskew
