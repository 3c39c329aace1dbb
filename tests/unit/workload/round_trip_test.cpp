// What is generated from a family is found again by fitting: the family wins and its shape comes back.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "epskew/routing/load.hpp"
#include "epskew/workload/generate.hpp"
#include "workload/spread.hpp"

namespace epskew {
namespace {

constexpr Family shaped[] = {Family::lognormal, Family::gamma, Family::powerlaw, Family::weibull,
                             Family::exprank};

/// Sorted loads in units of their mean.
std::vector<double> relative(const LoadMetrics& load) {
  std::vector<double> loads(load.loads.begin(), load.loads.end());
  for (double& value : loads) value /= load.mean;
  std::sort(loads.begin(), loads.end());
  return loads;
}

double sse(Family family, double spread, const std::vector<double>& loads) {
  const std::vector<double> curve =
      load_curve(family, shape_of_spread(family, spread), static_cast<int>(loads.size()));
  double sum = 0.0;
  for (std::size_t i = 0; i < loads.size(); ++i) sum += (curve[i] - loads[i]) * (curve[i] - loads[i]);
  return sum;
}

struct Fit {
  double shape = 0.0;
  double sse = 0.0;
};

/// Least squares by ternary search over the logarithm of the spread.
Fit fit(Family family, const std::vector<double>& loads) {
  double low = std::log(1e-3);
  double high = std::log(8.0);
  for (int i = 0; i < 80; ++i) {
    const double a = low + (high - low) / 3;
    const double b = high - (high - low) / 3;
    if (sse(family, std::exp(a), loads) > sse(family, std::exp(b), loads)) {
      low = a;
    } else {
      high = b;
    }
  }
  const double spread = std::exp(0.5 * (low + high));
  return {shape_of_spread(family, spread), sse(family, spread, loads)};
}

void expect_found_again(Family family, double shape, const std::vector<double>& loads, double tolerance) {
  const Fit own = fit(family, loads);
  EXPECT_NEAR(own.shape, shape, tolerance * shape) << name_of(family);
  for (const Family other : shaped) {
    if (other == family) continue;
    EXPECT_GT(fit(other, loads).sse, own.sse) << name_of(family) << " against " << name_of(other);
  }
}

WorkloadSpec spec_of(Family family, double factor) {
  WorkloadSpec spec;
  spec.num_experts = 256;
  spec.tokens_per_rank.assign(64, 512);
  spec.family = family;
  spec.factor = factor;
  spec.num_masked = 10;
  spec.seed = 8;
  return spec;
}

TEST(RoundTrip, RankLoadsGiveBackFamilyAndShape) {
  for (const Family family : shaped) {
    for (const double factor : {1.3, 2.0, 3.5}) {
      const Workload workload = generate(spec_of(family, factor));

      // 4096 selections a rank: rounding to whole selections moves a load by 1e-4 of the mean.
      expect_found_again(family, workload.parameters.begin()->second,
                         relative(count_load(workload.table).rank), 1e-3);
    }
  }
}

TEST(RoundTrip, ExpertLoadsGiveBackFamilyAndShape) {
  for (const Family family : shaped) {
    WorkloadSpec spec = spec_of(family, 1.25);
    spec.level = LawLevel::expert;
    spec.tokens_per_rank.assign(16, 2048);

    const Workload workload = generate(spec);

    // What the exact factor costs: the hot rank's experts are scaled together.
    expect_found_again(family, workload.parameters.begin()->second,
                       relative(count_load(workload.table).expert), 1e-2);
  }
}

}  // namespace
}  // namespace epskew
