#include "epskew/report/bandwidth.hpp"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>

namespace epskew {
namespace {

// DeepEP's test at hidden 7168: 7408 bytes an FP8 selection, 14336 a bf16 one.
TEST(Bandwidth, CountsTheBytesThatDeepepCounts) {
  EXPECT_EQ(dispatch_bytes_per_selection(DispatchFormat::fp8, 7168), 7408);
  EXPECT_EQ(dispatch_bytes_per_selection(DispatchFormat::fp8_ue8m0, 7168), 7408);
  EXPECT_EQ(dispatch_bytes_per_selection(DispatchFormat::bf16, 7168), 14336);
  EXPECT_EQ(combine_bytes_per_selection(CombineFormat::bf16, 7168), 14336);
  EXPECT_EQ(combine_bytes_per_selection(CombineFormat::logfmt10, 7168), 8960 + 224);
}

/// Two ranks of hidden 128 (dispatch bf16: 256 bytes a selection, combine 256): rank 0 keeps 1 and sends 5 to
/// rank 1 in 3 messages, rank 1 sends 2 in 1 message and keeps 4.
RoutingLoad small_load() {
  RoutingLoad load;
  load.selections = {1, 5, 2, 4};
  load.messages = {1, 3, 1, 4};
  load.rank = measure_loads(std::vector<std::int64_t>{3, 9});
  return load;
}

BandwidthRecord bandwidth(std::optional<WireCopies> copies,
                          std::map<std::string, std::string> variants = {}) {
  ExchangeOptions options;
  options.dispatch = DispatchFormat::bf16;
  options.variants = std::move(variants);
  std::array<std::optional<PhaseRecord>, num_phases> timing;
  PhaseRecord dispatch;
  dispatch.slowest_rank.p50 = 2.0;
  timing[static_cast<std::size_t>(Phase::dispatch)] = dispatch;
  return bandwidth_of(small_load(), timing, 128, options, copies);
}

TEST(Bandwidth, NumeratorsAreWhatTheirNamesSay) {
  const BandwidthRecord record = bandwidth(std::nullopt);

  EXPECT_EQ(record.send_logical.at("dispatch").bytes, 6 * 256);  // 12 selections, 2 ranks
  EXPECT_EQ(record.hot_receive.at("dispatch").bytes, 9 * 256);   // the hot rank's load
  EXPECT_EQ(record.hot_receive.at("combine").bytes, 6 * 256);    // the hot rank's own selections come back
  EXPECT_EQ(record.wire.at("dispatch").bytes, 5 * 256);          // rank 0 → 1
  EXPECT_EQ(record.wire.at("combine").bytes, 5 * 256);           // rank 1 → 0
  EXPECT_EQ(record.wire.at("dispatch_combine").bytes, 7 * 256);  // either rank: 5 + 2
  EXPECT_EQ(record.wire_basis.at("dispatch"), "selections");
}

TEST(Bandwidth, DeduplicatedCopiesAreMessages) {
  const BandwidthRecord record = bandwidth(WireCopies{Copies::messages, Copies::messages});

  EXPECT_EQ(record.send_logical.at("dispatch").bytes, 6 * 256);  // whatever travels
  EXPECT_EQ(record.hot_receive.at("dispatch").bytes, 7 * 256);   // 3 from rank 0, 4 of its own
  EXPECT_EQ(record.hot_receive.at("combine").bytes, 5 * 256);    // 1 from rank 0, 4 of its own
  EXPECT_EQ(record.wire.at("dispatch").bytes, 3 * 256);
  EXPECT_EQ(record.wire.at("combine").bytes, 3 * 256);
  EXPECT_EQ(record.wire_basis.at("combine"), "messages");
}

TEST(Bandwidth, WhatABackendStatesGoesBeforeTheNamesOfItsVariants) {
  const std::map<std::string, std::string> variants = {{"dispatch", "dedup"}, {"combine", "pull"}};

  EXPECT_EQ(bandwidth(std::nullopt, variants).wire_basis.at("dispatch"), "messages");
  EXPECT_EQ(bandwidth(std::nullopt, variants).wire_basis.at("combine"), "selections");
  EXPECT_EQ(bandwidth(WireCopies{}, variants).wire_basis.at("dispatch"), "selections");
}

TEST(Bandwidth, CopiesThatFollowNeitherHaveNoNumber) {
  const BandwidthRecord record = bandwidth(WireCopies{Copies::selections, Copies::uncounted});

  EXPECT_EQ(record.wire.at("dispatch").bytes, 5 * 256);
  EXPECT_EQ(record.wire.count("combine"), 0u);
  EXPECT_EQ(record.hot_receive.count("combine"), 0u);
  EXPECT_EQ(record.hot_receive.count("dispatch_combine"), 0u);
  EXPECT_EQ(record.wire.count("dispatch_combine"), 0u);
  EXPECT_EQ(record.wire_basis.at("combine"), "none");
}

TEST(Bandwidth, TheDenominatorIsTheSlowestRanksMedian) {
  const BandwidthRecord record = bandwidth(std::nullopt);

  EXPECT_EQ(record.hot_receive.at("dispatch").gb_per_s, 9 * 256 / 2e-6 / 1e9);
  EXPECT_EQ(record.hot_receive.at("combine").gb_per_s, std::nullopt);  // not timed
}

}  // namespace
}  // namespace epskew
