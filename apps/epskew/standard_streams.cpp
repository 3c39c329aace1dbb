#include "standard_streams.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <iostream>

#include "epskew/support/error.hpp"

namespace epskew::app {

void hold_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(stream, F_GETFD) != -1) continue;
    // The lowest number that is free, which is this one: the ones below it are taken by now.
    const int held = ::open("/dev/null", stream == STDERR_FILENO ? O_WRONLY : O_RDONLY);
    if (held != stream) throw_errno("opening /dev/null");
  }
}

void require_output() {
  const bool had_failed = std::ferror(stdout) != 0 || !std::cout;
  errno = 0;
  std::cout.flush();
  if (std::fflush(stdout) == 0 && !had_failed && std::cout) return;
  if (errno != 0) throw_errno("writing standard output");
  throw EnvironmentError("writing standard output failed");
}

}  // namespace epskew::app
