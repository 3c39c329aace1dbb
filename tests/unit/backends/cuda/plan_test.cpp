#include "backends/cuda/plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "epskew/backends/registry.hpp"
#include "epskew/support/error.hpp"

namespace epskew::cuda {
namespace {

ExchangeOptions with(const std::string& name, const std::string& value) {
  ExchangeOptions options;
  options.variants[name] = value;
  return options;
}

TEST(CudaSettings, EveryVariantIsRead) {
  ExchangeOptions options;
  options.variants = {
      {"driver", "lockstep"}, {"devices", "2,0"}, {"graph", "off"}, {"blocks", "64"}, {"delay_ns", "500"}};

  const Settings settings = parse_settings(options);

  EXPECT_EQ(settings.driver, Driver::lockstep);
  EXPECT_EQ(settings.devices, (std::vector<int>{2, 0}));
  EXPECT_FALSE(settings.graph);
  EXPECT_EQ(settings.blocks, 64);
  EXPECT_EQ(settings.delay_max_ns, 500u);
}

TEST(CudaSettings, AnUnknownNameOrValueIsTheUsersMistake) {
  EXPECT_THROW(parse_settings(with("drivers", "fused")), UsageError);
  EXPECT_THROW(parse_settings(with("driver", "parallel")), UsageError);
  EXPECT_THROW(parse_settings(with("devices", "0,-1")), UsageError);
  EXPECT_THROW(parse_settings(with("blocks", "12x")), UsageError);
  EXPECT_THROW(parse_settings(with("blocks", "0")), UsageError);
  EXPECT_THROW(parse_settings(with("graph", "maybe")), UsageError);
  EXPECT_THROW(parse_settings(with("dispatch", "teleport")), UsageError);
}

TEST(CudaPlan, AllFusedBlocksAreResidentAtOnce) {
  const DeviceLimits limits;
  for (const int ranks : {1, 2, 3, 8, 16, 64, 128}) {
    const ExchangeShape shape{ranks, ranks * 4, 4, 1024, 32};

    const Plan plan = make_plan(shape, {}, {}, limits);

    // The kernel of direct dispatch is made for one block a multiprocessor.
    EXPECT_LE(plan.fused_dispatch.blocks * ranks, limits.multiprocessors);
    EXPECT_LE(plan.fused_combine.blocks * ranks, blocks_per_sm * limits.multiprocessors);
    EXPECT_GE(plan.fused_dispatch.blocks, 1);
  }
}

TEST(CudaPlan, MoreRanksThanFitAtOnceAreRefused) {
  DeviceLimits limits;
  limits.multiprocessors = 114;
  const ExchangeShape shape{128, 512, 4, 1024, 32};

  EXPECT_THROW(make_plan(shape, {}, {}, limits), UsageError);
  Settings dedup;
  dedup.dispatch = DispatchAlgorithm::dedup;
  EXPECT_EQ(make_plan(shape, {}, dedup, limits).fused_dispatch.blocks, 1);
}

TEST(CudaSettings, AGpuNamedTwiceNeedsTheLockstepDriver) {
  EXPECT_THROW(parse_settings(with("devices", "0,0")), UsageError);
  ExchangeOptions lockstep = with("devices", "0,0");
  lockstep.variants["driver"] = "lockstep";

  EXPECT_EQ(parse_settings(lockstep).devices.size(), 2u);
}

TEST(CudaPlan, RanksAreSpreadOverDevices) {
  Settings four;
  four.devices = {0, 1, 2, 3};
  const ExchangeShape shape{8, 256, 8, 7168, 128};
  DeviceLimits limits;
  limits.memory_bytes = 2 * ArenaLayout(shape, {}).bytes();  // two ranks a device

  const Plan plan = make_plan(shape, {}, four, limits);

  EXPECT_EQ(plan.fused_combine.blocks, blocks_per_sm * limits.multiprocessors / 2);
  EXPECT_THROW(make_plan(shape, {}, {}, limits), UsageError);
  EXPECT_THROW(make_plan({2, 8, 2, 128, 4}, {}, four, {}), UsageError);
}

// Copying messages wants loads in flight, writing rows an early start.
TEST(CudaPlan, DeduplicatedDispatchUsesEveryResidentBlock) {
  const ExchangeShape shape{8, 256, 8, 7168, 128};
  Settings dedup;
  dedup.dispatch = DispatchAlgorithm::dedup;

  EXPECT_EQ(make_plan(shape, {}, {}, {}).lockstep_dispatch.blocks, 132);
  EXPECT_EQ(make_plan(shape, {}, dedup, {}).lockstep_dispatch.blocks, 264);
  EXPECT_EQ(make_plan(shape, {}, dedup, {}).fused_dispatch.blocks, 33);
}

// A block's token list must hold what the device code will put there: items [b·n/B, (b+1)·n/B), one item more
// for some.
TEST(CudaPlan, TokenListsHoldEveryBlocksShare) {
  for (const int tokens : {1, 3, 128, 257, 1024}) {
    for (const int hidden : {128, 1408, 7168}) {
      const ExchangeShape shape{8, 256, 8, hidden, tokens};

      const Plan plan = make_plan(shape, {}, {}, {});

      for (const auto& [size, span] : {std::pair{plan.fused_dispatch, dispatch_span},
                                       {plan.fused_combine, combine_span},
                                       {plan.lockstep_dispatch, dispatch_span},
                                       {plan.lockstep_combine, combine_span}}) {
        const int spans = (hidden + span - 1) / span;
        const int total = tokens * spans;
        const int each = total / size.blocks;
        const int larger = total % size.blocks;
        for (int block = 0; block < size.blocks; ++block) {
          const int first = block * each + std::min(block, larger);
          const int last = first + each + (block < larger ? 1 : 0);
          const int touched = last > first ? (last - 1) / spans + 1 - first / spans : 0;
          ASSERT_LE(touched, size.own_tokens)
              << tokens << " tokens, hidden " << hidden << ", block " << block;
        }
      }
      EXPECT_GE(plan.lockstep_counts.own_tokens * plan.lockstep_counts.blocks, tokens);
    }
  }
}

TEST(CudaPlan, RefusesWhatTheDeviceCannotHold) {
  const ExchangeShape shape{8, 256, 8, 7168, 128};
  DeviceLimits small_memory;
  small_memory.memory_bytes = 1u << 30;
  DeviceLimits little_shared;
  little_shared.shared_bytes_per_multiprocessor = 8 * 1024;
  const ExchangeShape many_ranks{256, 256, 8, 1024, 8};

  EXPECT_THROW(make_plan(shape, {}, {}, small_memory), UsageError);
  EXPECT_THROW(make_plan(shape, {}, {}, little_shared), UsageError);
  EXPECT_THROW(make_plan(many_ranks, {}, {}, {}), UsageError);
}

TEST(CudaBackend, SaysWhyItCannotRunAndRefusesPolitely) {
  const Backend* backend = find_backend("cuda");
  ASSERT_NE(backend, nullptr);
  if (!backend->unusable()) GTEST_SKIP() << "there is a GPU here";

  EXPECT_NE(backend->unusable()->find("no CUDA device"), std::string::npos);
  EXPECT_THROW(backend->make_world({}, {}), UsageError);
}

}  // namespace
}  // namespace epskew::cuda
