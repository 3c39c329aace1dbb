#include "epskew/support/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>
#include <system_error>

#include "epskew/support/error.hpp"

namespace epskew {
namespace {

namespace fs = std::filesystem;

struct Closer {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Closer>;

void refuse_lfs_pointer(const fs::path& path, std::string_view bytes) {
  if (bytes.starts_with("version https://git-lfs.github.com/spec/")) {
    throw UsageError(fmt::format(
        "{} is a Git-LFS pointer ({} bytes that stand for the data); fetch the data with `git lfs pull`",
        path.string(), bytes.size()));
  }
}

[[noreturn]] void refuse_to_read(const std::string& what, const std::error_code& error) {
  throw UsageError(
      fmt::format("cannot read {} ({}); check the path and its permissions", what, error.message()));
}

}  // namespace

std::string read_file(const fs::path& path, std::uint64_t max_bytes) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  // A name that is too long, links in a circle, a folder that may not be searched.
  if (status.type() == fs::file_type::none) refuse_to_read(path.string(), error);
  if (!fs::exists(status))
    throw UsageError(fmt::format("{} does not exist (nothing to read); check the path", path.string()));
  if (fs::is_directory(status)) {
    throw UsageError(fmt::format("{} is a folder (a file was expected); name a file in it", path.string()));
  }
  if (!fs::is_regular_file(status)) {
    throw UsageError(
        fmt::format("{} is no regular file (its size is unknown); copy the data to a file", path.string()));
  }
  const std::uint64_t size = fs::file_size(path, error);
  if (error) refuse_to_read(path.string(), error);
  if (size == 0)
    throw UsageError(fmt::format("{} is empty (0 bytes); record or copy it again", path.string()));
  if (size > max_bytes) {
    throw UsageError(fmt::format("{} is too large ({} bytes, the limit is {}); cut it into smaller files",
                                 path.string(), size, max_bytes));
  }
  const File file(std::fopen(path.c_str(), "rb"));
  if (!file)
    throw UsageError(
        fmt::format("cannot read {} ({}); check its permissions", path.string(), std::strerror(errno)));
  std::string bytes(size, '\0');
  bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file.get()));
  if (bytes.size() != size)
    throw UsageError(fmt::format("{} changed while it was read; try again", path.string()));
  refuse_lfs_pointer(path, bytes);
  return bytes;
}

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    std::error_code ignored;  // of a link that leads nowhere: it is no file
    if (entry->is_regular_file(ignored)) files.push_back(entry->path());
  }
  if (error) refuse_to_read("the folder " + folder.string(), error);
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace epskew
