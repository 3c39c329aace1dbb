#include "epskew/support/output_file.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "epskew/support/error.hpp"

namespace epskew {
namespace {

namespace fs = std::filesystem;

std::string slurp(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

class OutputFileTest : public ::testing::Test {
 protected:
  OutputFileTest() : folder_(fs::temp_directory_path() / ("epskew-output-" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~OutputFileTest() override { fs::remove_all(folder_); }
  std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  fs::path folder_;
};

TEST_F(OutputFileTest, CheckingCreatesNothing) {
  const OutputFile file("--json", (folder_ / "r.json").string());

  EXPECT_FALSE(file.is_stdout());
  EXPECT_EQ(entries(), 0u);
}

TEST_F(OutputFileTest, WritesTheWholeTextAndNothingElse) {
  const OutputFile file("--json", (folder_ / "r.json").string());

  file.write("old");
  file.write("new text");

  EXPECT_EQ(slurp(folder_ / "r.json"), "new text");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(OutputFileTest, ALinkStaysALink) {
  fs::create_symlink("behind", folder_ / "link");
  std::ofstream(folder_ / "behind") << "old";

  OutputFile("--json", (folder_ / "link").string()).write("new");

  EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
  EXPECT_EQ(slurp(folder_ / "behind"), "new");
}

TEST_F(OutputFileTest, RefusesPlacesThatCannotTakeAFile) {
  EXPECT_THROW(OutputFile("--json", ""), UsageError);
  EXPECT_THROW(OutputFile("--json", folder_.string()), UsageError);
  EXPECT_THROW(OutputFile("--json", (folder_ / "no" / "r.json").string()), UsageError);
  EXPECT_THROW(OutputFile("--json", "/proc/r.json"), UsageError);
}

TEST_F(OutputFileTest, ADeviceIsWrittenInPlace) {
  OutputFile("--json", "/dev/null").write("text");

  EXPECT_FALSE(fs::is_regular_file("/dev/null"));
}

TEST(OutputFile, ADashIsStandardOutput) {
  EXPECT_TRUE(OutputFile("--json", "-").is_stdout());
}

}  // namespace
}  // namespace epskew
