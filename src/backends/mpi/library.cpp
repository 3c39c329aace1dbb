#include "backends/mpi/library.hpp"

#include <array>

#include "backends/mpi/guard.hpp"
#include "backends/mpi/simulated.hpp"
#include "epskew/support/error.hpp"

namespace epskew::mpi {
namespace {

/// What starting and ending MPI may take beyond a wait inside the job.
constexpr std::chrono::seconds launcher_time{20};

}  // namespace

void check(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING + 1> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  throw EnvironmentError(std::string(call) +
                         " failed: " + std::string(text.data(), static_cast<std::size_t>(length)));
}

Library& Library::instance(std::chrono::milliseconds timeout) {
  static Library library(timeout);
  return library;
}

Library::Library(std::chrono::milliseconds timeout) : limit_(timeout + launcher_time) {
  int initialised = 0;
  check(MPI_Initialized(&initialised), "MPI_Initialized");
  if (initialised == 0) {
    if (!is_simulated) start_guard(timeout);
    const Watched watched("starting MPI (MPI_Init)", limit_);
    check(MPI_Init(nullptr, nullptr), "MPI_Init");
    owned_ = true;
  }
  check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  check(MPI_Comm_rank(MPI_COMM_WORLD, &rank_), "MPI_Comm_rank");
  check(MPI_Comm_size(MPI_COMM_WORLD, &size_), "MPI_Comm_size");
}

Library::~Library() {
  if (is_simulated) return;  // see SimulatedEnd
  int finalised = 0;
  MPI_Finalized(&finalised);
  if (!owned_ || broken_ || finalised != 0) return;
  const Watched watched("ending MPI (MPI_Finalize)", limit_);
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
