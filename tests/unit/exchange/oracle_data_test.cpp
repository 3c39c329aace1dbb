#include "exchange/oracle_data.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

#include "epskew/exchange/number_formats.hpp"

namespace epskew {
namespace {

std::vector<BFloat16> token(OracleData data, int rank, int index, std::size_t hidden = 1024) {
  std::vector<BFloat16> x(hidden);
  make_token(data, 5, rank, index, x);
  return x;
}

// The claims on which exactness rests, checked through the number formats themselves.
TEST(ExactData, EveryScaleRuleIsAnExactPowerOfTwoAndEveryValueSurvives) {
  for (int index = 0; index < 40; ++index) {
    const auto x = token(OracleData::exact, 3, index);
    for (const bool power_of_two : {false, true}) {
      std::vector<std::uint8_t> codes(x.size());
      std::vector<float> scales(x.size() / scale_group);

      quantise_fp8(x, power_of_two, codes, scales);

      for (std::size_t i = 0; i < x.size(); ++i) {
        const float scale = scales[i / scale_group];
        ASSERT_EQ(std::ldexp(1.0f, std::ilogb(scale)), scale);
        ASSERT_EQ(from_e4m3(codes[i]) * scale, to_float(x[i]));
      }
    }
  }
}

TEST(ExactData, UpToSixteenContributionsSumExactlyInBfloat16) {
  const auto x = token(OracleData::exact, 0, 0);
  for (const BFloat16 value : x) {
    for (int count = 1; count <= 16; ++count) {
      const float sum = to_float(value) * static_cast<float>(count);
      ASSERT_EQ(to_float(to_bfloat16(sum)), sum);
    }
  }
}

TEST(ExactData, TokensOfAllRanksDiffer) {
  std::set<std::vector<std::uint16_t>> seen;
  for (int rank = 0; rank < 8; ++rank) {
    for (int index = 0; index < 64; ++index) {
      std::vector<std::uint16_t> bits;
      for (const BFloat16 value : token(OracleData::exact, rank, index, 128)) bits.push_back(value.bits);
      EXPECT_TRUE(seen.insert(bits).second) << "rank " << rank << " token " << index;
    }
  }
}

TEST(RandomData, HasTheSpreadOfDeepEpsTest) {
  double sum = 0;
  double squares = 0;
  int count = 0;
  for (int index = 0; index < 50; ++index) {
    for (const BFloat16 value : token(OracleData::random, 1, index)) {
      sum += to_float(value);
      squares += static_cast<double>(to_float(value)) * to_float(value);
      ++count;
    }
  }

  EXPECT_NEAR(sum / count, 0, 0.002);
  EXPECT_NEAR(std::sqrt(squares / count), 0.1, 0.002);
}

TEST(Experts, NeighboursDiffer) {
  for (int expert = 0; expert < 4096; ++expert) {
    const float factor = factor_of_expert(expert);
    EXPECT_LE(std::abs(std::ilogb(factor)), 30);
    EXPECT_EQ(std::fabs(factor), std::ldexp(1.0f, std::ilogb(factor)));
    for (int distance = 1; distance < 122; ++distance) {
      ASSERT_NE(factor, factor_of_expert(expert + distance));
    }
  }
}

TEST(RandomWeights, OneTokenInFourNearlyCancels) {
  const std::vector<std::int32_t> experts{3, -1, 5, 9, -1};
  for (int token = 0; token < 8; ++token) {
    std::vector<float> weights{0.5f, 7, 0.25f, 0.75f, 7};

    shape_weights(OracleData::random, token, experts, weights);

    EXPECT_EQ(weights[3], token % 4 == 3 ? -0.75f * (1 - 0x1p-14f) : 0.75f);
    EXPECT_EQ(weights[0] + weights[2], 0.75f);
  }
}

TEST(RandomWeights, WithoutASecondSelectionStayAsTheyAre) {
  for (const std::vector<std::int32_t>& experts :
       {std::vector<std::int32_t>{-1, 4}, std::vector<std::int32_t>{-1, -1}}) {
    std::vector<float> weights{0.5f, 0.25f};

    shape_weights(OracleData::random, 3, experts, weights);

    EXPECT_EQ(weights, (std::vector<float>{0.5f, 0.25f}));
  }
}

}  // namespace
}  // namespace epskew
