#include "backends/cpu/huge_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace epskew::cpu {
namespace {

/// A tmpfs that this process alone can reach, or why there is none. Lives as long as the process.
struct PrivateTmpfs {
  int directory = -1;
  std::string missing;
};

#ifdef SYS_fsopen

// The calls themselves: C libraries have them since glibc 2.36 only, and a program that is carried to another
// machine would not start on an older one.
int fsopen(const char* type, unsigned flags) {
  return static_cast<int>(syscall(SYS_fsopen, type, flags));
}
int fsconfig(int context, unsigned command, const char* key, const char* value) {
  return static_cast<int>(syscall(SYS_fsconfig, context, command, key, value, 0));
}
int fsmount(int context, unsigned flags) {
  return static_cast<int>(syscall(SYS_fsmount, context, flags, 0));
}

PrivateTmpfs refused(const char* call) {
  return {-1, fmt::format("{}: {}", call, std::strerror(errno))};
}

/// within_size: a large page only where the whole of it lies inside the file. size=0: no limit but memory.
PrivateTmpfs mount_tmpfs() {
  const int context = fsopen("tmpfs", FSOPEN_CLOEXEC);
  if (context < 0) return refused("fsopen of a tmpfs");
  PrivateTmpfs made;
  if (fsconfig(context, FSCONFIG_SET_STRING, "huge", "within_size") != 0 ||
      fsconfig(context, FSCONFIG_SET_STRING, "size", "0") != 0 ||
      fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr) != 0) {
    made = refused("fsconfig of a tmpfs with large pages");
  } else {
    made.directory = fsmount(context, FSMOUNT_CLOEXEC);
    if (made.directory < 0) made = refused("fsmount of a tmpfs");
  }
  close(context);
  return made;
}

#else

PrivateTmpfs mount_tmpfs() {
  return {-1, "fsopen was not known where this program was compiled"};
}

#endif

const PrivateTmpfs& private_tmpfs() {
  static const PrivateTmpfs tmpfs = mount_tmpfs();
  return tmpfs;
}

}  // namespace

int open_huge_file() {
  const int directory = private_tmpfs().directory;
  return directory < 0 ? -1 : openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

const std::string& huge_files_missing() {
  return private_tmpfs().missing;
}

}  // namespace epskew::cpu
