#pragma once

/// Random workload specs for property tests, and the independent checks every generated routing must pass.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "epskew/routing/load.hpp"
#include "epskew/support/error.hpp"
#include "epskew/support/random.hpp"
#include "epskew/workload/generate.hpp"

namespace epskew::property {

/// The ranges specs are drawn from.
struct Ranges {
  int ranks = 512;
  int experts = 4096;
  int tokens = 4096;
  std::int64_t selections =
      100000;  ///< at most that many in all, to bound the time; tokens are lowered for it
};

class SpecDraw {
 public:
  SpecDraw(std::uint64_t index, Ranges ranges) : random_(index, 0x70726f70), ranges_(ranges) {}

  /// A spec without a factor.
  WorkloadSpec draw() {
    WorkloadSpec spec;
    const int ranks = log_uniform(2, ranges_.ranks);
    spec.num_experts = ranks * log_uniform(1, std::max(1, ranges_.experts / ranks));
    spec.topk =
        static_cast<int>(1 + random_.below(static_cast<std::uint32_t>(std::min(16, spec.num_experts))));
    const auto most =
        static_cast<int>(std::clamp<std::int64_t>(ranges_.selections / ranks / spec.topk, 1, ranges_.tokens));
    const int tokens = log_uniform(1, most);
    spec.tokens_per_rank.assign(static_cast<std::size_t>(ranks), tokens);
    if (random_.below(3) == 0) {
      for (std::int32_t& own : spec.tokens_per_rank)
        own = static_cast<std::int32_t>(random_.below(tokens + 1u));
    }
    const std::uint32_t masks = random_.below(4);
    if (masks == 1) spec.num_masked = 10;
    if (masks == 2)
      spec.num_masked = static_cast<int>(random_.below(static_cast<std::uint32_t>(tokens * spec.topk) + 2));
    spec.family = static_cast<Family>(random_.below(6));
    spec.seed = random_.next_u64();
    return spec;
  }

  /// 1, the bound itself, or between.
  double factor(double bound) {
    const std::uint32_t where = random_.below(8);
    if (where == 0) return 1.0;
    if (where == 1) return bound;
    return 1.0 + (bound - 1.0) * std::pow(random_.uniform(), 2.0);
  }

  bool coin() { return random_.below(2) == 0; }

 private:
  int log_uniform(int low, int high) {
    const double value = low * std::pow(static_cast<double>(high) / low, random_.uniform());
    return std::clamp(static_cast<int>(std::lround(value)), low, high);
  }

  RandomStream random_;
  Ranges ranges_;
};

inline std::string describe(const WorkloadSpec& spec) {
  return "ranks " + std::to_string(spec.num_ranks()) + " experts " + std::to_string(spec.num_experts) +
         " topk " + std::to_string(spec.topk) + " tokens[0] " + std::to_string(spec.tokens_per_rank[0]) +
         " masked " + std::to_string(spec.num_masked) + " family " + std::string(name_of(spec.family)) +
         " factor " + std::to_string(spec.factor.value_or(0)) + " seed " + std::to_string(spec.seed);
}

/// R · sum over tokens of min(k_t, L) / S, counted from a routing.
inline double bound_of(const RoutingTable& table) {
  std::int64_t selections = 0;
  std::int64_t most = 0;
  for (std::size_t token = 0; token < table.topk_idx.size() / static_cast<std::size_t>(table.topk); ++token) {
    const auto row = table.topk_idx.begin() + static_cast<std::ptrdiff_t>(token) * table.topk;
    const auto degree = std::count_if(row, row + table.topk, [](std::int32_t expert) { return expert >= 0; });
    selections += degree;
    most += std::min<std::int64_t>(degree, table.experts_per_rank());
  }
  if (selections == 0) return 1.0;
  return static_cast<double>(most) * table.num_ranks() / static_cast<double>(selections);
}

inline void expect_masks(const RoutingTable& table, int num_masked) {
  for (int rank = 0; rank < table.num_ranks(); ++rank) {
    const auto experts = table.experts_of_rank(rank);
    const auto masked = std::count(experts.begin(), experts.end(), -1);
    ASSERT_EQ(masked, std::min<std::int64_t>(num_masked, static_cast<std::int64_t>(experts.size())));
  }
}

/// DESIGN §2: the hot rank's load is round(f · mean), and none can be below the mean.
inline void expect_exact(const RoutingTable& table, double factor) {
  validate(table, "generated");
  const LoadMetrics load = count_load(table).rank;
  const auto exact = std::max(std::llround(factor * load.mean), static_cast<long long>(std::ceil(load.mean)));
  ASSERT_EQ(load.max, exact);
}

/// Whether the spec was refused; the message must then hold `bound` as refusals print it.
inline bool refused_with(const WorkloadSpec& spec, double bound) {
  try {
    generate(spec);
  } catch (const UsageError& error) {
    char printed[32];
    std::snprintf(printed, sizeof printed, "choose 1 to %.2f", std::floor(bound * 100) / 100);
    EXPECT_NE(std::string(error.what()).find(printed), std::string::npos) << error.what();
    return true;
  }
  return false;
}

/// One random spec at rank level: exact at a feasible factor, refused with the bound beyond it.
inline void check_rank_level(std::uint64_t index, const Ranges& ranges) {
  SpecDraw draw(index, ranges);
  WorkloadSpec spec = draw.draw();
  const Workload uniform = generate(spec);
  const double bound = bound_of(uniform.table);
  ASSERT_DOUBLE_EQ(uniform.feasible_max, bound) << describe(spec);
  spec.factor = draw.factor(bound);
  SCOPED_TRACE(describe(spec));

  const Workload workload = generate(spec);

  expect_masks(workload.table, spec.num_masked);
  expect_exact(workload.table, *spec.factor);
  spec.factor = bound * 1.01 + 0.01;
  ASSERT_TRUE(refused_with(spec, bound));
}

/// How specs ended whose factor a placement may not reach.
struct Tally {
  int exact = 0;
  int refused = 0;
};

/// One random spec at expert level: exact, or refused with a bound at which it is exact.
inline void check_expert_level(std::uint64_t index, const Ranges& ranges, Tally& tally) {
  SpecDraw draw(index, ranges);
  WorkloadSpec spec = draw.draw();
  const double bound = bound_of(generate(spec).table);
  spec.factor = draw.factor(std::min(bound, 3.0));
  spec.level = LawLevel::expert;
  if (draw.coin()) spec.placement = contiguous_placement(spec.num_experts);
  SCOPED_TRACE(describe(spec));
  try {
    expect_exact(generate(spec).table, *spec.factor);
    ++tally.exact;
  } catch (const UsageError& error) {
    const std::string message = error.what();
    spec.factor = std::stod(message.substr(message.rfind(' ') + 1));
    expect_exact(generate(spec).table, *spec.factor);
    ++tally.refused;
  }
}

}  // namespace epskew::property
