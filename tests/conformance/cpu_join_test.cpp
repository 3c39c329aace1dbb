// Ranks in processes that somebody else started: they find each other by a folder and exchange as any others.

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "conformance/tables.hpp"
#include "epskew/backends/registry.hpp"
#include "epskew/exchange/oracle.hpp"
#include "epskew/support/error.hpp"

namespace epskew::testing {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class CpuJoin : public ::testing::Test {
 protected:
  CpuJoin() : table_(make_table({std::vector<std::int32_t>(4, 6), 16, 4})), shape_(shape_of(table_, 256)) {
    std::string name = (fs::temp_directory_path() / "epskew-join-XXXXXX").string();
    place_ = mkdtemp(name.data());
    options_.timeout = 20s;
  }
  ~CpuJoin() override { fs::remove_all(place_); }

  std::unique_ptr<Exchange> join(int rank) {
    return find_backend("cpu")->join(shape_, options_, {rank, place_});
  }

  /// Exit codes of one process for each of `ranks` that runs `body`.
  static std::vector<int> run_in_processes(const std::vector<int>& ranks,
                                           const std::function<int(int)>& body) {
    std::vector<pid_t> children;
    for (const int rank : ranks) {
      const pid_t child = fork();
      if (child == 0) _exit(body(rank));
      children.push_back(child);
    }
    std::vector<int> codes;
    for (const pid_t child : children) {
      int status = 0;
      waitpid(child, &status, 0);
      codes.push_back(WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    }
    return codes;
  }

  RoutingTable table_;
  ExchangeShape shape_;
  ExchangeOptions options_;
  fs::path place_;
};

TEST_F(CpuJoin, RanksThatJoinExchangeRightly) {
  const auto codes = run_in_processes({0, 1, 2, 3}, [&](int rank) {
    const auto exchange = join(rank);
    Oracle oracle(table_, shape_, options_, OracleData::exact, 1);
    return run_oracle(*exchange, oracle) ? 3 : 0;
  });

  EXPECT_EQ(codes, std::vector<int>(4, 0));
}

TEST_F(CpuJoin, OnlyTheFolderIsLeftBehind) {
  run_in_processes({0, 1, 2, 3}, [&](int rank) {
    join(rank);
    return 0;
  });

  for (const auto& entry : fs::directory_iterator(place_)) {
    EXPECT_TRUE(entry.is_symlink()) << entry.path();
    EXPECT_FALSE(fs::exists(entry.path())) << entry.path();
  }
}

TEST_F(CpuJoin, RankThatDoesNotComeIsNamed) {
  options_.timeout = 200ms;

  const auto codes = run_in_processes({0, 1, 3}, [&](int rank) {
    try {
      join(rank);
    } catch (const RankLost& error) {
      return std::string(error.what()).find("for rank 2 to join") == std::string::npos ? 1 : 4;
    }
    return 0;
  });

  EXPECT_EQ(codes, std::vector<int>(3, 4));
}

TEST_F(CpuJoin, ShrinkIsRefused) {
  options_.shrink = true;

  EXPECT_THROW(join(0), UsageError);
}

TEST_F(CpuJoin, BackendThatStartsItsRanksItselfRefuses) {
  EXPECT_THROW(find_backend("reference")->join(shape_, options_, {0, place_}), UsageError);
}

}  // namespace
}  // namespace epskew::testing
