#include "backends/cpu/huge_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
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

#ifdef FSOPEN_CLOEXEC

PrivateTmpfs refused(const char* call) {
  return {-1, fmt::format("{}: {}", call, std::strerror(errno))};
}

/// within_size: a large page only where the whole of it lies inside the file. size=0: no limit but memory.
PrivateTmpfs mount_tmpfs() {
  const int context = fsopen("tmpfs", FSOPEN_CLOEXEC);
  if (context < 0) return refused("fsopen of a tmpfs");
  PrivateTmpfs made;
  if (fsconfig(context, FSCONFIG_SET_STRING, "huge", "within_size", 0) != 0 ||
      fsconfig(context, FSCONFIG_SET_STRING, "size", "0", 0) != 0 ||
      fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    made = refused("fsconfig of a tmpfs with large pages");
  } else {
    made.directory = fsmount(context, FSMOUNT_CLOEXEC, 0);
    if (made.directory < 0) made = refused("fsmount of a tmpfs");
  }
  close(context);
  return made;
}

#else

PrivateTmpfs mount_tmpfs() {
  return {-1, "this C library does not know fsopen"};
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
