#include "epskew/support/file.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "helpers/temp_folder.hpp"
#include "helpers/usage_error.hpp"

namespace epskew {
namespace {

namespace fs = std::filesystem;

TEST(ReadFile, SaysWhatTheSystemHasAgainstAPath) {
  const test::TempFolder folder;
  fs::create_symlink("loop", folder.path() / "loop");

  const auto problem = [&](const std::string& name) {
    return test::usage_error_of([&] { read_file(folder.path() / name); });
  };

  EXPECT_NE(problem("loop").find("(Too many levels of symbolic links)"), std::string::npos);
  EXPECT_NE(problem(std::string(300, 'n')).find("(File name too long)"), std::string::npos);
  EXPECT_NE(problem("missing").find("does not exist"), std::string::npos);
}

TEST(FilesIn, AreRegularAndSorted) {
  const test::TempFolder folder;
  folder.write("b", "2");
  folder.write("a", "1");
  folder.write("folder/c", "3");
  fs::create_symlink("a", folder.path() / "link");
  fs::create_symlink("loop", folder.path() / "loop");
  fs::create_symlink("nowhere", folder.path() / "dangling");

  std::vector<std::string> names;
  for (const fs::path& file : files_in(folder.path())) names.push_back(file.filename().string());

  EXPECT_EQ(names, (std::vector<std::string>{"a", "b", "link"}));
}

TEST(FilesIn, RefusesWhatIsNoFolder) {
  const test::TempFolder folder;
  const fs::path file = folder.write("a", "1");

  EXPECT_NE(test::usage_error_of([&] { files_in(file); }).find("cannot read the folder"), std::string::npos);
  EXPECT_NE(test::usage_error_of([&] { files_in(folder.path() / std::string(300, 'n')); }).find("too long"),
            std::string::npos);
}

}  // namespace
}  // namespace epskew
