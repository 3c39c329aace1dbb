#include "backends/cpu/shared_memory.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

#include "backends/cpu/huge_file.hpp"

namespace epskew::cpu {
namespace {

constexpr std::size_t megabyte = 1u << 20;

/// Kilobytes of the mapping at `address` that large page table entries map, by /proc/self/smaps.
long large_kilobytes(const void* address) {
  std::ifstream maps("/proc/self/smaps");
  bool inside = false;
  long found = 0;
  for (std::string line; std::getline(maps, line);) {
    unsigned long begin = 0;
    unsigned long end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) {
      const auto place = reinterpret_cast<std::uintptr_t>(address);
      inside = begin <= place && place < end;
    } else if (inside && line.rfind("ShmemPmdMapped:", 0) == 0) {
      std::istringstream(line.substr(15)) >> found;
    }
  }
  return found;
}

class SharedMemoryOf : public testing::TestWithParam<Pages> {};

TEST_P(SharedMemoryOf, IsSharedWithAForkedProcess) {
  SharedMemory memory(3 * megabyte + 4096, GetParam());
  const pid_t child = fork();
  if (child == 0) {
    std::memset(memory.data() + 3 * megabyte, 42, 4096);
    _exit(0);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);

  EXPECT_EQ(memory.data()[3 * megabyte + 4095], std::byte{42});
  EXPECT_EQ(memory.data()[0], std::byte{0});
}

TEST_P(SharedMemoryOf, CountsWhatIsTouchedAndGivesItBack) {
  SharedMemory memory(16 * megabyte, GetParam());
  EXPECT_EQ(memory.touched(), 0);
  std::memset(memory.data(), 7, 3 * megabyte);
  EXPECT_GE(memory.touched(), std::int64_t{3 * megabyte});
  EXPECT_LE(memory.touched(), std::int64_t{4 * megabyte});  // up to the end of a large page

  memory.clear();

  EXPECT_EQ(memory.touched(), 0);
  EXPECT_TRUE(std::all_of(memory.data(), memory.data() + 3 * megabyte,
                          [](std::byte value) { return value == std::byte{0}; }));
}

INSTANTIATE_TEST_SUITE_P(Pages, SharedMemoryOf, testing::Values(Pages::large, Pages::small),
                         [](const auto& pages) { return pages.param == Pages::large ? "large" : "small"; });

TEST(SharedMemory, HasLargePagesWhereTheyAreToBeHad) {
  if (!huge_files_missing().empty()) GTEST_SKIP() << huge_files_missing();
  SharedMemory large(8 * megabyte, Pages::large);
  std::memset(large.data(), 1, large.size());

  EXPECT_GT(large_kilobytes(large.data()), 0);
}

TEST(SharedMemory, LeavesNoNameBehind) {
  if (!huge_files_missing().empty()) GTEST_SKIP() << huge_files_missing();
  const int file = open_huge_file();
  ASSERT_GE(file, 0);
  const std::string link = "/proc/self/fd/" + std::to_string(file);
  std::string target(256, '\0');
  const ssize_t length = readlink(link.c_str(), target.data(), target.size());
  close(file);

  ASSERT_GT(length, 0);
  EXPECT_NE(target.find("(deleted)"), std::string::npos) << target;
}

}  // namespace
}  // namespace epskew::cpu
