#include "exchange/oracle_check.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace epskew {
namespace {

/// What is wrong with one contribution in LogFMT-10 whose every value is too large by `relative`.
std::optional<Difference> coded_with_error(std::vector<float> values, float relative) {
  ExchangeOptions options;
  options.dispatch = DispatchFormat::bf16;
  options.combine = CombineFormat::logfmt10;
  std::vector<BFloat16> x;
  std::vector<BFloat16> out;
  for (const float value : values) {
    x.push_back(to_bfloat16(value));
    out.push_back(to_bfloat16(to_float(x.back()) * (1 + relative)));
  }
  CombineCheck check(options, OracleData::random, CombineRounding::in_order, static_cast<int>(x.size()));
  CombinedToken token;
  token.contributions.push_back({1, 1});
  return check.compare(out, x, token);
}

std::vector<float> group_of(float first) {
  std::vector<float> values(scale_group, 0.5f);
  values[0] = first;
  return values;
}

// Half a step of 510 levels between 0.25 and 0.5 is 0.07 %, and two roundings to bf16 are 0.8 %.
TEST(CodedContributions, LieWithinHalfALevelOfTheirRange) {
  EXPECT_EQ(coded_with_error(group_of(0.25f), 0.005f), std::nullopt);
  EXPECT_NE(coded_with_error(group_of(0.25f), 0.02f), std::nullopt);
}

// With a zero the levels may span 32 octaves: half a step is 2.2 %.
TEST(CodedContributions, MayBeCoarserBesideAZero) {
  EXPECT_EQ(coded_with_error(group_of(0), 0.02f), std::nullopt);
  EXPECT_NE(coded_with_error(group_of(0), 0.04f), std::nullopt);
}

}  // namespace
}  // namespace epskew
