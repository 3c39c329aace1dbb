// Routing is the same on every machine, compiler and optimisation level: these digests may only change on
// purpose, with a note in CHANGELOG.md, because results of earlier releases can then no longer be reproduced.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "epskew/routing/digest.hpp"
#include "epskew/workload/generate.hpp"
#include "epskew/workload/replay.hpp"

namespace epskew {
namespace {

WorkloadSpec spec_with(Family family, double factor) {
  WorkloadSpec spec;
  spec.family = family;
  spec.factor = factor;
  spec.num_masked = 10;
  spec.seed = 42;
  return spec;
}

std::string digest_of(const WorkloadSpec& spec) {
  return digest(generate(spec).table);
}

TEST(GoldenDigest, UniformDraw) {
  WorkloadSpec spec = spec_with(Family::uniform, 1.0);
  spec.factor.reset();

  EXPECT_EQ(digest_of(spec), "649a3f17dae28ece7aa0948e4d5f4ac1");
}

TEST(GoldenDigest, EveryFamilyAtTheDefaultShape) {
  EXPECT_EQ(digest_of(spec_with(Family::uniform, 1.0)), "38d9a42830dd84e7f0af3c3ce20f0163");
  EXPECT_EQ(digest_of(spec_with(Family::lognormal, 3.0)), "414f3e5834a502cf2d4df32a52597881");
  EXPECT_EQ(digest_of(spec_with(Family::gamma, 3.0)), "9a80b3c457494229d2c549f418fe0352");
  EXPECT_EQ(digest_of(spec_with(Family::powerlaw, 3.0)), "e06c1c2eda18136432cf4a4928c6f960");
  EXPECT_EQ(digest_of(spec_with(Family::weibull, 3.0)), "ef9c8e867fb4983aaafdd923e9e3905d");
  EXPECT_EQ(digest_of(spec_with(Family::exprank, 3.0)), "76c3ceeaa0bbeb596d2c724cd0812ddb");
}

TEST(GoldenDigest, ManyRanksOfUnequalTokens) {
  WorkloadSpec spec = spec_with(Family::gamma, 2.5);
  spec.num_experts = 256;
  spec.tokens_per_rank.assign(64, 100);
  for (std::size_t rank = 0; rank < 64; rank += 3)
    spec.tokens_per_rank[rank] = static_cast<std::int32_t>(rank);

  EXPECT_EQ(digest_of(spec), "0bc7c7f41f95ed05889c65f9fdd3cf1f");
}

TEST(GoldenDigest, ExpertLevel) {
  WorkloadSpec spec = spec_with(Family::weibull, 1.4);
  spec.level = LawLevel::expert;

  EXPECT_EQ(digest_of(spec), "dadc835aa3a8411b9bacc00cacdd88f6");
}

TEST(GoldenDigest, Multinomial) {
  WorkloadSpec spec = spec_with(Family::lognormal, 1.8);
  spec.sampling = Sampling::multinomial;
  spec.num_experts = 64;

  EXPECT_EQ(digest_of(spec), "87b36ca10b9395913efaf55b7ac5636f");
}

TEST(GoldenDigest, RecordedCurve) {
  WorkloadSpec spec = spec_with(Family::lognormal, 2.0);
  spec.curve = {0.1, 0.4, 0.5, 0.9, 1.0, 1.7, 3.2};

  EXPECT_EQ(digest_of(spec), "3f4ac80e26b2dd8709b6c0e5521f1698");
}

TEST(GoldenDigest, KHot) {
  WorkloadSpec spec = spec_with(Family::uniform, 1.0);
  spec.factor.reset();
  spec.pattern = Pattern::k_hot;

  EXPECT_EQ(digest_of(spec), "56eee6705f800390d4a076347dcd3b07");
}

TEST(GoldenDigest, ExpertGroups) {
  WorkloadSpec spec = spec_with(Family::lognormal, 2.5);
  spec.num_experts = 256;
  spec.num_groups = 8;
  spec.topk_groups = 4;

  EXPECT_EQ(digest_of(spec), "e6e698d419cc1088d52a446db0a9e64d");
}

TEST(GoldenDigest, Matrix) {
  WorkloadSpec spec = spec_with(Family::uniform, 1.0);
  spec.factor.reset();
  spec.pattern = Pattern::matrix;
  spec.num_experts = 8;
  spec.topk = 2;
  spec.num_masked = 0;
  spec.tokens_per_rank = {40, 30};
  spec.matrix = {60, 20, 5, 55};

  EXPECT_EQ(digest_of(spec), "d86458cfd1fc44df873343a749afc02f");
}

TEST(GoldenDigest, Replay) {
  const std::vector<std::int64_t> counts = {10, 40, 3, 17, 25, 60, 2, 43};

  EXPECT_EQ(digest(realise_expert_counts({30, 40, 20, 10}, 2, counts, 42).table),
            "c89379b96c777cbba1853c2924696c43");
}

}  // namespace
}  // namespace epskew
