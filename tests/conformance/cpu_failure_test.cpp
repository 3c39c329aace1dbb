// Rank processes that die, hang or fail: the run ends in time, says who and where, and leaves nothing behind.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <fstream>
#include <regex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "conformance/tables.hpp"
#include "epskew/backends/registry.hpp"
#include "epskew/exchange/oracle.hpp"
#include "epskew/support/error.hpp"

namespace epskew::testing {
namespace {

using namespace std::chrono_literals;

/// Children of this process that have not been reaped, zombies included.
int num_children() {
  int count = 0;
  std::ifstream list("/proc/self/task/" + std::to_string(getpid()) + "/children");
  for (pid_t pid = 0; list >> pid;) ++count;
  return count;
}

class CpuFailure : public ::testing::Test {
 protected:
  CpuFailure() : table_(make_table({std::vector<std::int32_t>(4, 6), 16, 4})), shape_(shape_of(table_, 256)) {
    options_.timeout = 400ms;
    world_ = find_backend("cpu")->make_world(shape_, options_);
  }

  /// Runs operations in a loop; before the `n`-th phase call the rank 2 does `act`. Returns what the run
  /// threw.
  template <class Act>
  std::string run_until_lost(int n, Act&& act) {
    try {
      world_->run([&](Exchange& exchange) {
        Oracle oracle(table_, shape_, options_, OracleData::exact, 1);
        const int rank = exchange.local_ranks()[0];
        exchange.set_input(0, 0, oracle.input(rank));
        int call = 0;
        const auto step = [&](auto&& phase) {
          if (rank == 2 && call++ == n) act();
          phase();
        };
        for (int i = 0; i < 10; ++i) {
          step([&] { exchange.dispatch_send(0); });
          step([&] { exchange.dispatch_recv(0); });
          step([&] { exchange.combine_send(0); });
          step([&] { exchange.combine_recv(0); });
        }
        return std::string();
      });
    } catch (const RankLost& lost) {
      return lost.what();
    }
    return "nothing was thrown";
  }

  /// The world must be as good as new.
  void expect_usable() {
    const auto reports = world_->run([&](Exchange& exchange) {
      Oracle oracle(table_, shape_, options_, OracleData::exact, 1);
      const auto mismatch = run_oracle(exchange, oracle);
      return mismatch ? to_string(*mismatch) : std::string("right");
    });
    EXPECT_EQ(reports, std::vector<std::string>(4, "right"));
  }

  RoutingTable table_;
  ExchangeShape shape_;
  ExchangeOptions options_;
  std::unique_ptr<World> world_;
};

class Deaths : public CpuFailure, public ::testing::WithParamInterface<int> {};

TEST_P(Deaths, KilledRankIsNamedAndNobodyHangs) {
  const auto start = std::chrono::steady_clock::now();

  const std::string message = run_until_lost(GetParam(), [] { raise(SIGKILL); });

  EXPECT_NE(message.find("rank 2 was killed by signal 9"), std::string::npos) << message;
  EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
  EXPECT_EQ(num_children(), 0);
  expect_usable();
}

TEST_P(Deaths, StoppedRankIsNamedWithThoseWhoWaited) {
  const std::string message = run_until_lost(GetParam(), [] { raise(SIGSTOP); });

  EXPECT_NE(message.find("rank 2 was stopped"), std::string::npos) << message;
  EXPECT_NE(message.find("waited for rank 2 in "), std::string::npos) << message;
  // However many waited: who waits for the same rank in the same place is told together.
  std::set<std::string> waits;
  const std::regex wait("waited for [^;]*");
  for (std::sregex_iterator found(message.begin(), message.end(), wait), end; found != end; ++found)
    EXPECT_TRUE(waits.insert(found->str()).second) << message;
  EXPECT_EQ(num_children(), 0);
  expect_usable();
}

// Before each of the four phases of the first and of a later operation.
INSTANTIATE_TEST_SUITE_P(Phases, Deaths, ::testing::Values(0, 1, 2, 3, 20, 21, 22, 23));

TEST_F(CpuFailure, ARankThatLeavesWithoutAWordIsNamed) {
  const std::string message = run_until_lost(5, [] { _exit(7); });

  EXPECT_NE(message.find("rank 2 exited with status 7"), std::string::npos) << message;
}

TEST_F(CpuFailure, ARankThatNeverComesBackIsNamed) {
  const std::string message = run_until_lost(2, [] { std::this_thread::sleep_for(1h); });

  EXPECT_NE(message.find("rank 2 did not come back"), std::string::npos) << message;
  EXPECT_NE(message.find("waited for rank 2 in combine_"), std::string::npos) << message;
  EXPECT_EQ(num_children(), 0);
}

template <class Error>
void expect_carried(World& world) {
  try {
    world.run([](Exchange& exchange) -> std::string {
      if (exchange.local_ranks()[0] == 1) throw Error("from rank 1");
      exchange.align();
      return {};
    });
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "from rank 1");
  }
}

TEST_F(CpuFailure, ExceptionsKeepTheirType) {
  expect_carried<UsageError>(*world_);
  expect_carried<WrongResult>(*world_);
  expect_carried<EnvironmentError>(*world_);
  expect_carried<RankLost>(*world_);
  expect_usable();
}

// The one that has the answer ends first; who is still at work then explains nothing.
TEST_F(CpuFailure, AFindingIsNotHiddenByAStraggler) {
  EXPECT_THROW(world_->run([](Exchange& exchange) -> std::string {
    if (exchange.local_ranks()[0] == 1) throw WrongResult("from rank 1");
    if (exchange.local_ranks()[0] == 2) std::this_thread::sleep_for(1h);
    exchange.align();
    return {};
  }),
               WrongResult);
  EXPECT_EQ(num_children(), 0);
}

TEST_F(CpuFailure, ARankThatIsStuckWhenTheOthersHaveEndedIsNamed) {
  try {
    world_->run([](Exchange& exchange) {
      exchange.align();
      if (exchange.local_ranks()[0] == 2) std::this_thread::sleep_for(1h);
      return std::string();
    });
    FAIL() << "nothing was thrown";
  } catch (const RankLost& lost) {
    EXPECT_NE(std::string(lost.what()).find("rank 2 did not come back"), std::string::npos) << lost.what();
  }
  EXPECT_EQ(num_children(), 0);
}

/// By this process's own clock, which stands still while it is stopped.
void work_for_10_ms() {
  for (const std::clock_t end = std::clock() + CLOCKS_PER_SEC / 100; std::clock() < end;) {
  }
}

// As a shell's Ctrl-Z and fg do: everything stops for longer than the timeout, and goes on.
TEST_F(CpuFailure, AJobThatIsPausedAsAWholeGoesOn) {
  const pid_t job = fork();
  if (job == 0) {
    setpgid(0, 0);
    try {
      world_->run([&](Exchange& exchange) {
        for (int i = 0; i < 60; ++i) {
          if (exchange.local_ranks()[0] == 0) work_for_10_ms();  // the others wait
          exchange.align();
        }
        return std::string();
      });
      _exit(0);
    } catch (const std::exception& error) {
      const std::string text = std::string(error.what()) + "\n";
      if (write(STDERR_FILENO, text.data(), text.size()) < 0) _exit(2);
      _exit(1);
    }
  }
  std::this_thread::sleep_for(300ms);
  ASSERT_EQ(kill(-job, SIGSTOP), 0);
  std::this_thread::sleep_for(1200ms);
  ASSERT_EQ(kill(-job, SIGCONT), 0);
  int status = -1;
  ASSERT_EQ(waitpid(job, &status, 0), job);

  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(CpuFailure, LostRanksAreThoseOfTheLastRun) {
  run_until_lost(0, [] { raise(SIGKILL); });
  ASSERT_EQ(world_->lost_ranks().size(), 1u);
  EXPECT_EQ(world_->lost_ranks()[0].rank, 2);

  EXPECT_THROW(world_->run([](Exchange&) -> std::string { throw UsageError("no"); }), UsageError);

  EXPECT_TRUE(world_->lost_ranks().empty());
}

TEST_F(CpuFailure, LargeReportsArriveWhole) {
  const auto reports = world_->run([](Exchange& exchange) {
    return std::string(3'000'000, static_cast<char>('a' + exchange.local_ranks()[0]));
  });

  for (std::size_t rank = 0; rank < 4; ++rank) {
    EXPECT_EQ(reports[rank], std::string(3'000'000, static_cast<char>('a' + rank)));
  }
}

// A parent killed in the middle of a run takes its ranks with it.
TEST_F(CpuFailure, RanksDieWithTheirParent) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t parent = fork();
  if (parent == 0) {
    try {
      world_->run([&](Exchange&) {
        const pid_t pid = getpid();
        if (write(ends[1], &pid, sizeof pid) != sizeof pid) _exit(1);
        std::this_thread::sleep_for(1h);
        return std::string();
      });
    } catch (...) {
    }
    _exit(0);
  }
  std::vector<pid_t> ranks(4);
  for (pid_t& rank : ranks) ASSERT_EQ(read(ends[0], &rank, sizeof rank), static_cast<ssize_t>(sizeof rank));

  kill(parent, SIGKILL);
  waitpid(parent, nullptr, 0);

  const auto alive = [](pid_t pid) {
    std::ifstream status("/proc/" + std::to_string(pid) + "/stat");
    std::string id, name, state;
    return static_cast<bool>(status >> id >> name >> state) && state != "Z" && state != "X";
  };
  for (const pid_t rank : ranks) {
    for (int i = 0; i < 200 && alive(rank); ++i) std::this_thread::sleep_for(20ms);
    EXPECT_FALSE(alive(rank)) << rank;
  }
}

}  // namespace
}  // namespace epskew::testing
