// The variant under test gives the bits of the reference, coded results included.

#include "conformance/combined_bits.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "conformance/backend_under_test.hpp"
#include "conformance/tables.hpp"
#include "epskew/support/launcher.hpp"

namespace epskew::testing {
namespace {

/// As many ranks as the job has, unequal tokens, masked entries.
RoutingTable table_of_job(int num_ranks) {
  TableSpec spec;
  for (int rank = 0; rank < num_ranks; ++rank) spec.tokens_per_rank.push_back(5 + 3 * rank % 7);
  spec.num_experts = 4 * num_ranks;
  spec.topk = 3;
  spec.masked_entries = 4;
  return make_table(spec);
}

TEST(MpiCombine, HasTheBitsOfTheReference) {
  const auto process = launched_process();
  const RoutingTable table = table_of_job(process->size);
  for (const CombineFormat combine : {CombineFormat::bf16, CombineFormat::logfmt10}) {
    for (const DispatchFormat dispatch : {DispatchFormat::bf16, DispatchFormat::fp8}) {
      ExchangeOptions options;
      options.dispatch = dispatch;
      options.combine = combine;
      const std::string expected = combined_bits("reference", table, options);
      options.variants = variants_under_test();

      const std::string found = combined_bits("mpi", table, options);

      // Only the root has the others' bits.
      if (process->rank == 0) {
        EXPECT_TRUE(found == expected) << name_of(combine) << ", " << name_of(dispatch);
      }
    }
  }
}

}  // namespace
}  // namespace epskew::testing
