#include "epskew/support/output_file.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

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

TEST_F(OutputFileTest, ALinkToAFileThatIsNotThereYetStaysALink) {
  fs::create_symlink("second", folder_ / "first");
  fs::create_symlink("behind", folder_ / "second");

  OutputFile("--json", (folder_ / "first").string()).write("new");

  EXPECT_TRUE(fs::is_symlink(folder_ / "first"));
  EXPECT_TRUE(fs::is_symlink(folder_ / "second"));
  EXPECT_EQ(slurp(folder_ / "behind"), "new");
}

TEST_F(OutputFileTest, RefusesPlacesThatCannotTakeAFile) {
  EXPECT_THROW(OutputFile("--json", ""), UsageError);
  EXPECT_THROW(OutputFile("--json", folder_.string()), UsageError);
  EXPECT_THROW(OutputFile("--json", (folder_ / "no" / "r.json").string()), UsageError);
  EXPECT_THROW(OutputFile("--json", "/proc/r.json"), UsageError);
}

TEST_F(OutputFileTest, SaysWhatTheSystemHasAgainstAPath) {
  fs::create_symlink("loop", folder_ / "loop");

  EXPECT_THROW(OutputFile("--json", (folder_ / "loop").string()), UsageError);
  EXPECT_THROW(OutputFile("--json", (folder_ / std::string(300, 'n')).string()), UsageError);
  EXPECT_EQ(entries(), 1u);
}

TEST_F(OutputFileTest, AFileKeepsItsPermissions) {
  const fs::path path = folder_ / "r.json";
  std::ofstream(path) << "old";
  const auto owner_only = fs::perms::owner_read | fs::perms::owner_write;
  fs::permissions(path, owner_only);

  OutputFile("--json", path.string()).write("new");

  EXPECT_EQ(fs::status(path).permissions(), owner_only);
  EXPECT_EQ(slurp(path), "new");
}

std::size_t open_descriptors() {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator()));
}

TEST_F(OutputFileTest, AFailedWriteLeavesNoDescriptorAndNoFile) {
  const OutputFile device("--json", "/dev/full");
  const OutputFile file("--csv", (folder_ / "r.csv").string());
  fs::create_directory(folder_ / "r.csv");  // the file's name is taken now: renaming to it fails
  const std::size_t before = open_descriptors();

  EXPECT_THROW(device.write("text"), EnvironmentError);
  EXPECT_THROW(file.write("text"), EnvironmentError);

  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(entries(), 1u);
}

TEST_F(OutputFileTest, OnePlaceTakesOneResult) {
  fs::create_symlink("r.json", folder_ / "link");
  const auto at = [&](const char* flag, const char* name) {
    return std::optional<OutputFile>(OutputFile(flag, (folder_ / name).string()));
  };
  const auto json = at("--json", "r.json");
  const auto other = at("--csv", "r.csv");
  const auto link = at("--html", "link");
  const std::optional<OutputFile> none;
  const std::optional<OutputFile> null_device(OutputFile("--csv", "/dev/null"));

  EXPECT_NO_THROW(require_distinct({&json, &none, &other}));
  EXPECT_NO_THROW(require_distinct({&null_device, &null_device}));
  EXPECT_THROW(require_distinct({&other, &json, &none, &link}), UsageError);
}

TEST_F(OutputFileTest, ADeviceIsWrittenInPlace) {
  OutputFile("--json", "/dev/null").write("text");

  EXPECT_FALSE(fs::is_regular_file("/dev/null"));
}

TEST(OutputFile, ADashIsStandardOutput) {
  EXPECT_TRUE(OutputFile("--json", "-").is_stdout());
}

TEST_F(OutputFileTest, RefusesToReplaceWhatIsRead) {
  const std::string input = (folder_ / "in.json").string();
  std::ofstream(input) << "precious";
  const std::string link = (folder_ / "link.json").string();
  fs::create_symlink(input, link);
  const std::string around = (folder_ / "." / "in.json").string();
  const std::vector<fs::path> inputs = {"/nonexistent", input, "/dev/null"};
  const std::optional<OutputFile> none;
  const auto at = [](const std::string& target) {
    return std::optional<OutputFile>(OutputFile("--json", target));
  };
  const std::optional<OutputFile> dash = at("-"), other = at((folder_ / "out.json").string()),
                                  device = at("/dev/null");

  for (const std::string& target : {input, link, around}) {
    const auto output = at(target);
    EXPECT_THROW(refuse_to_replace({&none, &other, &output}, inputs), UsageError) << target;
  }
  EXPECT_NO_THROW(refuse_to_replace({&none, &dash, &other, &device}, inputs));
}

}  // namespace
}  // namespace epskew
