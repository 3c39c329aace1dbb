#include "epskew/support/output_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "epskew/support/error.hpp"

namespace epskew {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const std::string& flag, const std::string& target, const std::string& why) {
  throw UsageError(flag + " " + target + " cannot be written (" + why +
                   "); choose another place, or - for standard output");
}

// A device or a pipe (/dev/null, a process substitution): it has no name to take over.
bool is_special(const fs::path& target) {
  std::error_code ignored;
  return fs::exists(target, ignored) && !fs::is_regular_file(target, ignored);
}

fs::path folder_of(const fs::path& target) {
  return target.has_parent_path() ? target.parent_path() : fs::path(".");
}

std::string temporary_name(const fs::path& target) {
  return target.string() + ".XXXXXX";
}

void write_all(int fd, std::span<const std::string_view> parts, const std::string& what) {
  for (std::string_view text : parts) {
    while (!text.empty()) {
      const ssize_t written = ::write(fd, text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) throw_errno("writing " + what);
      text.remove_prefix(static_cast<std::size_t>(written));
    }
  }
}

// The permissions a new file would get; mkstemp makes it private.
void open_permissions(int fd) {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  ::fchmod(fd, 0666 & ~mask);
}

}  // namespace

OutputFile::OutputFile(const std::string& flag, const std::string& target)
    : target_(target), is_stdout_(target == "-") {
  if (is_stdout_) return;
  if (target.empty())
    throw UsageError(flag + " has no file name (it is empty); give one, or - for standard output");
  std::error_code ignored;
  if (fs::is_directory(target_, ignored)) refuse(flag, target, "it is a folder");
  if (fs::exists(target_, ignored) && ::access(target_.c_str(), W_OK) != 0)
    refuse(flag, target, std::strerror(errno));
  if (is_special(target_)) return;
  // The file behind a link is what gets replaced, not the link.
  if (fs::is_symlink(target_, ignored)) target_ = fs::weakly_canonical(target_, ignored);
  const fs::path folder = folder_of(target_);
  if (!fs::is_directory(folder, ignored)) refuse(flag, target, "there is no folder " + folder.string());
  // Trying is the only sure test: permissions do not tell of read-only or special file systems.
  std::string probe = temporary_name(target_);
  const int fd = ::mkostemp(probe.data(), O_CLOEXEC);
  if (fd < 0) refuse(flag, target, std::strerror(errno));
  ::close(fd);
  ::unlink(probe.c_str());
}

void OutputFile::write(std::string_view text) const {
  write(std::span(&text, 1));
}

void OutputFile::write(std::span<const std::string_view> parts) const {
  if (is_stdout_) {
    std::fflush(stdout);
    write_all(STDOUT_FILENO, parts, "standard output");
    return;
  }
  if (is_special(target_)) {
    const int fd = ::open(target_.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) throw_errno("opening " + target_.string());
    write_all(fd, parts, target_.string());
    ::close(fd);
    return;
  }
  std::string temporary = temporary_name(target_);
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) throw_errno("creating " + temporary);
  try {
    open_permissions(fd);
    write_all(fd, parts, temporary);
    if (::fsync(fd) != 0) throw_errno("writing " + temporary);
    if (::rename(temporary.c_str(), target_.c_str()) != 0) throw_errno("renaming to " + target_.string());
  } catch (...) {
    ::close(fd);
    ::unlink(temporary.c_str());
    throw;
  }
  ::close(fd);
}

}  // namespace epskew
