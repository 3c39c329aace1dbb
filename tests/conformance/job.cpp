#include "conformance/job.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "conformance/backend_under_test.hpp"

namespace epskew::testing {
namespace {

std::map<std::string, std::string> chosen_variants;
int job_size = 1;

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

std::optional<std::string> unfit(const ExchangeShape& shape) {
  if (shape.num_ranks == job_size) return std::nullopt;
  return fmt::format("needs {} processes, this job has {}", shape.num_ranks, job_size);
}

std::map<std::string, std::string> variants_under_test() {
  return chosen_variants;
}

int run_suite(int argc, char** argv, int rank, int size) {
  ::testing::InitGoogleTest(&argc, argv);
  job_size = size;
  for (int i = 1; i < argc; ++i) {
    const std::string variant = argv[i];
    const auto equals = variant.find('=');
    if (equals == std::string::npos) return 2;
    chosen_variants[variant.substr(0, equals)] = variant.substr(equals + 1);
  }
  if (rank != 0) {
    auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new FailuresOnly(rank));
  }
  return RUN_ALL_TESTS();
}

}  // namespace epskew::testing
