#include "epskew/support/error.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace epskew {

void throw_errno(const std::string& call) {
  throw EnvironmentError(call + " failed: " + std::strerror(errno));
}

void detail::contract_failed(const char* kind, const char* expression, std::source_location where) {
  std::fprintf(stderr, "epskew: internal %s violated: %s at %s:%u in %s\n", kind, expression, where.file_name(),
               static_cast<unsigned>(where.line()), where.function_name());
  std::abort();
}

}  // namespace epskew
