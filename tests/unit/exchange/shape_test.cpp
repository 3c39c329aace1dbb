#include "epskew/exchange/shape.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "epskew/support/error.hpp"

namespace epskew {
namespace {

struct Refusal {
  std::string name;
  std::function<void(ExchangeShape&, ExchangeOptions&)> change;
  std::string expected;  ///< what the message must name
};

class ShapeRefusals : public ::testing::TestWithParam<Refusal> {};

TEST_P(ShapeRefusals, NamesTheFlag) {
  ExchangeShape shape;
  ExchangeOptions options;
  GetParam().change(shape, options);

  try {
    validate(shape, options);
    FAIL() << "accepted";
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find(GetParam().expected), std::string::npos) << error.what();
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, ShapeRefusals,
    ::testing::Values(
        Refusal{"NoRanks", [](auto& shape, auto&) { shape.num_ranks = 0; }, "--num-processes 0"},
        Refusal{"ExpertsNotDivisible", [](auto& shape, auto&) { shape.num_experts = 287; },
                "choose a multiple of 8"},
        Refusal{"TooManyExperts", [](auto& shape, auto&) { shape.num_experts = 8192; }, "--num-experts 8192"},
        Refusal{"TopkZero", [](auto& shape, auto&) { shape.topk = 0; }, "--num-topk 0"},
        Refusal{"TopkTooLarge", [](auto& shape, auto&) { shape.topk = 17; }, "--num-topk 17"},
        Refusal{"TopkAboveExperts", [](auto& shape, auto&) { shape.num_experts = 8, shape.topk = 9; },
                "choose 8 or less"},
        Refusal{"HiddenNotAMultiple", [](auto& shape, auto&) { shape.hidden = 7000; }, "choose 7040"},
        Refusal{"HiddenTooLarge", [](auto& shape, auto&) { shape.hidden = 32768; }, "--hidden 32768"},
        Refusal{"NegativeTokens", [](auto& shape, auto&) { shape.max_tokens = -1; }, "--num-tokens -1"},
        Refusal{"AbsurdTokens", [](auto& shape, auto&) { shape.max_tokens = 2'000'000'000; }, "would need"},
        Refusal{"NoMicroBatches", [](auto&, auto& options) { options.micro_batches = 0; },
                "--micro-batches 0"},
        Refusal{"NoTimeout", [](auto&, auto& options) { options.timeout = std::chrono::milliseconds(0); },
                "--timeout"}),
    [](const auto& test) { return test.param.name; });

TEST(Shape, AcceptsTheCornersOfTheIssue) {
  for (const ExchangeShape& shape :
       {ExchangeShape{}, ExchangeShape{64, 4096, 16, 16384, 8}, ExchangeShape{1, 1, 1, 128, 0}}) {
    EXPECT_NO_THROW(validate(shape, ExchangeOptions{}));
  }
}

TEST(Shape, NamesOfFormatsAreFoundAgain) {
  for (const DispatchFormat format :
       {DispatchFormat::bf16, DispatchFormat::fp8, DispatchFormat::fp8_pow2, DispatchFormat::fp8_ue8m0}) {
    EXPECT_EQ(find_dispatch_format(name_of(format)), format);
  }
  EXPECT_FALSE(find_dispatch_format("fp4"));
}

// docs/memory.md: the worst case at the default shape.
TEST(Shape, WorstCaseRowsAreBoundedByTheSmallerOfTopkAndLocalExperts) {
  EXPECT_EQ(ExchangeShape{}.max_rows(), 8 * 128 * 8);
  EXPECT_EQ((ExchangeShape{8, 16, 8, 7168, 128}.max_rows()), 8 * 128 * 2);
}

}  // namespace
}  // namespace epskew
