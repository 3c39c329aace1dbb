// The conformance suite as an MPI program: mpirun -n R conformance_mpi [VARIANT=VALUE]... Scenarios of other
// sizes than the job's are skipped. Rank 0 prints; another process speaks only where something fails there.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "conformance/backend_under_test.hpp"
#include "epskew/support/launcher.hpp"

namespace epskew::testing {
namespace {

std::map<std::string, std::string> chosen_variants;

int job_size() {
  const auto process = launched_process();
  return process ? process->size : 1;
}

class FailuresOnly : public ::testing::EmptyTestEventListener {
  void OnTestPartResult(const ::testing::TestPartResult& result) override {
    if (!result.failed()) return;
    fmt::print(stderr, "rank {}: {}:{}: {}\n", launched_process()->rank,
               result.file_name() == nullptr ? "" : result.file_name(), result.line_number(),
               result.message());
  }
};

}  // namespace

const Backend& backend_under_test() {
  return *find_backend("mpi");
}

std::optional<std::string> unfit(const ExchangeShape& shape) {
  if (shape.num_ranks == job_size()) return std::nullopt;
  return fmt::format("needs {} processes, this job has {}", shape.num_ranks, job_size());
}

std::map<std::string, std::string> variants_under_test() {
  return chosen_variants;
}

}  // namespace epskew::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  const auto process = epskew::launched_process();
  if (!process) {
    fmt::print(stderr, "start with mpirun -n R {} [VARIANT=VALUE]...\n", argv[0]);
    return 2;
  }
  for (int i = 1; i < argc; ++i) {
    const std::string variant = argv[i];
    const auto equals = variant.find('=');
    if (equals == std::string::npos) return 2;
    epskew::testing::chosen_variants[variant.substr(0, equals)] = variant.substr(equals + 1);
  }
  if (process->rank != 0) {
    auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new epskew::testing::FailuresOnly);
  }
  return RUN_ALL_TESTS();
}
