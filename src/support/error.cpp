#include "epskew/support/error.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace epskew {

void throw_errno(const std::string& call) {
  throw EnvironmentError(call + " failed: " + std::strerror(errno));
}

void detail::contract_failed(const char* kind, const char* expression, const char* file, int line,
                             const char* function) {
  std::fprintf(stderr, "epskew: internal %s violated: %s at %s:%d in %s\n", kind, expression, file, line, function);
  std::abort();
}

}  // namespace epskew
