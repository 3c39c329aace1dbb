#include "epskew/support/output_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <utility>

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

/// An open file, closed whatever happens; close() says whether the system took all of it.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }

  int get() const { return fd_; }
  void close(const std::string& what) {
    if (::close(std::exchange(fd_, -1)) != 0) throw_errno("closing " + what);
  }

 private:
  int fd_;
};

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

// mkstemp makes the file private: it gets the permissions of the file it replaces, else those of a new file.
void set_permissions(int fd, const fs::path& target) {
  struct stat old = {};
  if (::stat(target.c_str(), &old) == 0) {
    ::fchmod(fd, old.st_mode & 07777);
    return;
  }
  const mode_t mask = ::umask(0);
  ::umask(mask);
  ::fchmod(fd, 0666 & ~mask);
}

void write_in_place(const fs::path& target, std::span<const std::string_view> parts) {
  Descriptor file(::open(target.c_str(), O_WRONLY | O_CLOEXEC));
  if (file.get() < 0) throw_errno("opening " + target.string());
  write_all(file.get(), parts, target.string());
  file.close(target.string());
}

void replace(const fs::path& target, std::span<const std::string_view> parts) {
  std::string temporary = temporary_name(target);
  Descriptor file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (file.get() < 0) throw_errno("creating " + temporary);
  try {
    set_permissions(file.get(), target);
    write_all(file.get(), parts, temporary);
    if (::fsync(file.get()) != 0) throw_errno("writing " + temporary);
    file.close(temporary);
    if (::rename(temporary.c_str(), target.c_str()) != 0) throw_errno("renaming to " + target.string());
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

// One spelling for every path to the same file.
fs::path canonical_or_as_is(const fs::path& target) {
  std::error_code error;
  fs::path canonical = fs::weakly_canonical(fs::absolute(target, error), error);
  return error ? target : canonical;
}

}  // namespace

OutputFile::OutputFile(const std::string& flag, const std::string& target)
    : flag_(flag), target_(target), is_stdout_(target == "-") {
  if (is_stdout_) return;
  if (target.empty())
    throw UsageError(flag + " has no file name (it is empty); give one, or - for standard output");
  std::error_code error;
  const fs::file_status status = fs::status(target_, error);
  // A name that is too long, links in a circle, a folder that may not be searched.
  if (status.type() == fs::file_type::none) refuse(flag, target, error.message());
  if (fs::is_directory(status)) refuse(flag, target, "it is a folder");
  if (fs::exists(status) && ::access(target_.c_str(), W_OK) != 0) refuse(flag, target, std::strerror(errno));
  if (is_special(target_)) return;
  std::error_code ignored;
  // The file behind a link is what gets replaced, not the link; it need not exist. There is no circle: the
  // status was known.
  while (fs::is_symlink(target_, ignored)) target_ = folder_of(target_) / fs::read_symlink(target_, ignored);
  const fs::path folder = folder_of(target_);
  if (!fs::is_directory(folder, ignored)) refuse(flag, target, "there is no folder " + folder.string());
  // Trying is the only sure test: permissions do not tell of read-only or special file systems.
  std::string probe = temporary_name(target_);
  const Descriptor file(::mkostemp(probe.data(), O_CLOEXEC));
  if (file.get() < 0) refuse(flag, target, std::strerror(errno));
  ::unlink(probe.c_str());
}

bool OutputFile::is_same_place(const OutputFile& other) const {
  if (is_stdout_ || other.is_stdout_) return is_stdout_ && other.is_stdout_;
  const fs::path here = canonical_or_as_is(target_);
  return here != "/dev/null" && here == canonical_or_as_is(other.target_);
}

void OutputFile::write(std::string_view text) const {
  write(std::span(&text, 1));
}

void OutputFile::write(std::span<const std::string_view> parts) const {
  if (is_stdout_) {
    if (std::fflush(stdout) != 0) throw_errno("writing standard output");
    write_all(STDOUT_FILENO, parts, "standard output");
  } else if (is_special(target_)) {
    write_in_place(target_, parts);
  } else {
    replace(target_, parts);
  }
}

void require_distinct(std::initializer_list<const std::optional<OutputFile>*> files) {
  for (auto first = files.begin(); first != files.end(); ++first) {
    for (auto second = std::next(first); second != files.end(); ++second) {
      if (!**first || !**second || !(**first)->is_same_place(***second)) continue;
      const std::string both = (**first)->flag() + " and " + (**second)->flag();
      throw UsageError((**first)->is_stdout()
                           ? "standard output is asked for twice (" + both +
                                 " would run into each other); give one a file name"
                           : both + " are the same file (one would replace the other); give each its own");
    }
  }
}

void refuse_to_replace(std::initializer_list<const std::optional<OutputFile>*> outputs,
                       std::span<const fs::path> inputs) {
  for (const auto* output : outputs) {
    std::error_code not_both_there;
    if (!*output || (*output)->is_stdout()) continue;
    const fs::path& target = (*output)->target();
    if (!fs::is_regular_file(target, not_both_there)) continue;
    for (const fs::path& input : inputs) {
      if (fs::equivalent(target, input, not_both_there))
        refuse((*output)->flag(), target.string(), "it is also an input and would be replaced");
    }
  }
}

}  // namespace epskew
