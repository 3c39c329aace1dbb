// Routing with an exact imbalance factor from C++, and what it loads each rank with.
#include <cstdio>
#include <cstdlib>

#include "epskew/routing/digest.hpp"
#include "epskew/routing/load.hpp"
#include "epskew/support/error.hpp"
#include "epskew/workload/generate.hpp"

int main(int argc, char** argv) {
  epskew::WorkloadSpec spec;  // 8 ranks of 128 tokens, top-8 of 288 experts
  spec.factor = argc > 1 ? std::atof(argv[1]) : 3.0;
  spec.seed = 7;
  try {
    const epskew::Workload workload = epskew::generate(spec);
    const epskew::LoadMetrics load = epskew::count_load(workload.table).rank;
    for (std::size_t rank = 0; rank < load.loads.size(); ++rank)
      std::printf("rank %zu: %lld selections\n", rank, static_cast<long long>(load.loads[rank]));
    std::printf("factor %.3f, digest %s\n", load.factor, epskew::digest(workload.table).c_str());
  } catch (const epskew::UsageError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
  return 0;
}
