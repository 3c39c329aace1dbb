#include "backends/cuda/choice.hpp"

#include <gtest/gtest.h>

#include <string>

#include "backends/cuda/launch.hpp"
#include "epskew/support/error.hpp"

namespace epskew::cuda {
namespace {

const ExchangeShape deepseek{8, 256, 8, 7168, 128};

Settings settings(std::map<std::string, std::string> variants) {
  ExchangeOptions options;
  options.variants = std::move(variants);
  return parse_settings(options);
}

TEST(CudaChoice, MeanDestinationsIsExactWhereItCanBeCounted) {
  EXPECT_DOUBLE_EQ(mean_destinations({1, 8, 3, 128, 1}), 1);
  EXPECT_DOUBLE_EQ(mean_destinations({4, 8, 1, 128, 1}), 1);
  EXPECT_DOUBLE_EQ(mean_destinations({2, 4, 2, 128, 1}),
                   2 * (1 - 1.0 / 6));  // both on the other rank: C(2,2)/C(4,2)
  EXPECT_DOUBLE_EQ(mean_destinations({4, 4, 4, 128, 1}), 4);
}

TEST(CudaChoice, OneGpuHasNoLinkToSaveBytesOn) {
  const Algorithms chosen = choose_algorithms(deepseek, {}, settings({}));

  EXPECT_EQ(chosen.dispatch, DispatchAlgorithm::direct);
  EXPECT_EQ(chosen.combine, CombineAlgorithm::pull);
}

// Two ranks of 128 experts: a token's 8 selections go to both, so a message saves three of four copies.
TEST(CudaChoice, ManyExpertsOfATokenOnOneRankAreWorthDeduplicating) {
  const ExchangeShape two{2, 256, 8, 7168, 128};

  const Algorithms chosen = choose_algorithms(two, {}, settings({{"devices", "0,1"}}));

  EXPECT_EQ(chosen.dispatch, DispatchAlgorithm::dedup);
  EXPECT_EQ(chosen.combine, CombineAlgorithm::prereduce);
}

// 64 ranks: hardly two experts of a token on one.
TEST(CudaChoice, RareCompanionsAreNotWorthAnotherPass) {
  const ExchangeShape many{64, 256, 8, 7168, 128};

  const Algorithms chosen = choose_algorithms(many, {}, settings({{"devices", "0,1"}}));

  EXPECT_EQ(chosen.dispatch, DispatchAlgorithm::direct);
  EXPECT_EQ(chosen.combine, CombineAlgorithm::pull);
}

TEST(CudaChoice, WhatTheUserNamesStands) {
  const Algorithms chosen =
      choose_algorithms(deepseek, {}, settings({{"dispatch", "dedup"}, {"combine", "push"}}));

  EXPECT_EQ(chosen.dispatch, DispatchAlgorithm::dedup);
  EXPECT_EQ(chosen.combine, CombineAlgorithm::push);
}

TEST(CudaChoice, LogfmtIsPulled) {
  ExchangeOptions options;
  options.combine = CombineFormat::logfmt10;
  const ExchangeShape two{2, 256, 8, 7168, 128};
  options.variants["devices"] = "0,1";

  EXPECT_EQ(choose_algorithms(two, options, parse_settings(options)).combine, CombineAlgorithm::pull);
  options.variants["combine"] = "push";
  EXPECT_THROW(parse_settings(options), UsageError);
}

TEST(CudaChoice, TheSentenceNamesBothAndWhoChose) {
  const Settings asked = settings({{"combine", "push"}});

  EXPECT_EQ(describe_choice(choose_algorithms(deepseek, {}, asked), asked),
            "chosen: dispatch=direct, combine=push (as asked) (one GPU: no link to save bytes on)");
}

TEST(CudaLaunch, ReturnAddressesSurviveTheirWord) {
  const ReturnAddress address(pack_return(127, (1 << return_token_bits) - 1, 15));

  EXPECT_EQ(address.source, 127);
  EXPECT_EQ(address.token, (1 << return_token_bits) - 1);
  EXPECT_EQ(address.place, 15);
}

TEST(CudaLaunch, AbortsSurviveTheirWord) {
  const Abort abort = unpack_abort(pack_abort(WaitKind::combine_data, 3, 127));

  EXPECT_EQ(abort.kind, WaitKind::combine_data);
  EXPECT_EQ(abort.waiter, 3);
  EXPECT_EQ(abort.awaited, 127);
}

}  // namespace
}  // namespace epskew::cuda
