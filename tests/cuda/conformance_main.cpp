// The conformance suite with one process per rank, as a job of run_job.py, torchrun or mpirun. Scenarios of
// other sizes than the job's are skipped. Rank 0 prints; another process speaks only where something fails
// there.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "backends/cuda/job.hpp"
#include "conformance/backend_under_test.hpp"

namespace epskew::testing {
namespace {

std::map<std::string, std::string> chosen_variants;

int job_size() {
  const auto job = cuda::find_job();
  return job ? job->size : 1;
}

class FailuresOnly : public ::testing::EmptyTestEventListener {
 public:
  explicit FailuresOnly(int rank) : rank_(rank) {}

 private:
  void OnTestPartResult(const ::testing::TestPartResult& result) override {
    if (!result.failed()) return;
    fmt::print(stderr, "rank {}: {}:{}: {}\n", rank_, result.file_name() == nullptr ? "" : result.file_name(),
               result.line_number(), result.message());
  }
  int rank_;
};

}  // namespace

const Backend& backend_under_test() {
  return *find_backend("cuda");
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
  for (int i = 1; i < argc; ++i) {
    const std::string variant = argv[i];
    const auto equals = variant.find('=');
    if (equals == std::string::npos) return 2;
    epskew::testing::chosen_variants[variant.substr(0, equals)] = variant.substr(equals + 1);
  }
  const auto job = epskew::cuda::find_job();
  if (job && job->rank != 0) {
    auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new epskew::testing::FailuresOnly(job->rank));
  }
  return RUN_ALL_TESTS();
}
