#include "backends/mpi/library.hpp"

#include <array>
#include <chrono>

#include "backends/mpi/guard.hpp"
#include "epskew/support/error.hpp"

namespace epskew::mpi {
namespace {

/// Starting and ending involve the launcher on every host; minutes are normal on large machines.
constexpr std::chrono::seconds start_limit{300};
constexpr std::chrono::seconds end_limit{30};

}  // namespace

void check(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING + 1> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  throw EnvironmentError(std::string(call) +
                         " failed: " + std::string(text.data(), static_cast<std::size_t>(length)));
}

Library& Library::instance() {
  static Library library;
  return library;
}

Library::Library() {
  int initialised = 0;
  check(MPI_Initialized(&initialised), "MPI_Initialized");
  if (initialised == 0) {
    start_guard();
    const Watched watched("starting MPI (MPI_Init)", start_limit);
    check(MPI_Init(nullptr, nullptr), "MPI_Init");
    owned_ = true;
  }
  check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  check(MPI_Comm_rank(MPI_COMM_WORLD, &rank_), "MPI_Comm_rank");
  check(MPI_Comm_size(MPI_COMM_WORLD, &size_), "MPI_Comm_size");
}

Library::~Library() {
  int finalised = 0;
  MPI_Finalized(&finalised);
  if (!owned_ || broken_ || finalised != 0) return;
  const Watched watched("ending MPI (MPI_Finalize)", end_limit);
  MPI_Finalize();
}

std::string library_version() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING + 1> text{};
  int length = 0;
  MPI_Get_library_version(text.data(), &length);
  std::string version(text.data(), static_cast<std::size_t>(length));
  return version.substr(0, version.find('\n'));
}

}  // namespace epskew::mpi
