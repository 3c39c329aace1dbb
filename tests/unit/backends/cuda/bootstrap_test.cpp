#include "backends/cuda/bootstrap.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "epskew/support/error.hpp"

namespace epskew::cuda {
namespace {

using namespace std::chrono_literals;

/// Of the test that is running: another one's late process must not come in.
Job job_of(int rank, int size) {
  const std::string test = ::testing::UnitTest::GetInstance()->current_test_info()->name();
  return {rank, size, rank, size, "a test", "-" + std::to_string(getpid()) + test};
}

/// Runs `body(rank)` in a thread for each rank; what each threw, as text.
template <class Body>
std::vector<std::string> run_ranks(int size, Body body) {
  std::vector<std::string> thrown(static_cast<std::size_t>(size));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      std::string& text = thrown[static_cast<std::size_t>(rank)];
      try {
        body(rank);
      } catch (const RankLost& error) {
        text = std::string("RankLost: ") + error.what();
      } catch (const UsageError& error) {
        text = std::string("UsageError: ") + error.what();
      } catch (const std::exception& error) {
        text = std::string("other: ") + error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return thrown;
}

TEST(CudaBootstrap, EveryRankGetsEveryPartInOrder) {
  const auto thrown = run_ranks(4, [](int rank) {
    Bootstrap bootstrap(job_of(rank, 4), 5s);
    for (int step = 0; step < 50; ++step) {
      const std::string mine(static_cast<std::size_t>(rank * 1000 + step), static_cast<char>('a' + rank));
      const auto parts = bootstrap.all_gather(mine, "a step");
      ASSERT_EQ(parts.size(), 4u);
      for (std::size_t r = 0; r < 4; ++r)
        ASSERT_EQ(parts[r],
                  std::string(r * 1000 + static_cast<std::size_t>(step), static_cast<char>('a' + r)));
    }
  });

  EXPECT_EQ(thrown, std::vector<std::string>(4));
}

// One world after the other under one name, as a test program or a session makes them.
TEST(CudaBootstrap, TheNextWorldOfTheSameJobWorks) {
  const auto thrown = run_ranks(3, [](int rank) {
    for (int world = 0; world < 20; ++world) {
      Bootstrap bootstrap(job_of(rank, 3), 5s);
      ASSERT_EQ(bootstrap.all_gather(std::to_string(world), "a step"),
                std::vector<std::string>(3, std::to_string(world)));
    }
  });

  EXPECT_EQ(thrown, std::vector<std::string>(3));
}

class CudaBootstrapFailure : public ::testing::TestWithParam<int> {};

TEST_P(CudaBootstrapFailure, ReachesEveryRankWithItsType) {
  const auto thrown = run_ranks(3, [](int rank) {
    Bootstrap bootstrap(job_of(rank, 3), 5s);
    bootstrap.barrier("a start");
    try {
      if (rank == GetParam()) throw UsageError("no such thing");
      bootstrap.barrier("a step");
      bootstrap.barrier("another step");
    } catch (...) {
      bootstrap.fail_with_current_exception();
      throw;
    }
  });

  EXPECT_EQ(thrown, std::vector<std::string>(3, "UsageError: no such thing"));
}

TEST_P(CudaBootstrapFailure, AProcessThatEndsIsNamed) {
  const int gone = GetParam();
  const auto thrown = run_ranks(3, [gone](int rank) {
    Bootstrap bootstrap(job_of(rank, 3), 5s);
    bootstrap.barrier("a start");
    if (rank == gone) return;
    bootstrap.barrier("a step");
  });

  const std::string expected =
      "RankLost: rank " + std::to_string(gone) + " ended; the others waited for it in a step";
  for (int rank = 0; rank < 3; ++rank)
    EXPECT_EQ(thrown[static_cast<std::size_t>(rank)], rank == gone ? "" : expected) << rank;
}

INSTANTIATE_TEST_SUITE_P(Ranks, CudaBootstrapFailure, ::testing::Values(0, 2));

TEST(CudaBootstrap, ARankThatDoesNotComeIsNamed) {
  const auto thrown = run_ranks(3, [](int rank) {
    if (rank == 1) return;
    Bootstrap bootstrap(job_of(rank, 3), 200ms);
    bootstrap.barrier("a step");
  });

  EXPECT_EQ(thrown[0],
            "RankLost: rank 1 did not come within 0.2 s; the others waited for it in starting the job");
  EXPECT_NE(thrown[2], "");
}

TEST(CudaBootstrap, AJobOverSeveralMachinesIsRefused) {
  Job job = job_of(0, 4);
  job.local_size = 2;

  EXPECT_THROW(Bootstrap(job, 1s), UsageError);
}

}  // namespace
}  // namespace epskew::cuda
