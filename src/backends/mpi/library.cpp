#include "backends/mpi/library.hpp"

#include <sched.h>

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

void wait_politely(MPI_Request& request) {
  if (is_simulated) return check(MPI_Wait(&request, MPI_STATUS_IGNORE), "MPI_Wait");
  int done = 0;
  while (true) {
    check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    if (done != 0) return;
    sched_yield();
  }
}

MPI_Comm duplicate(MPI_Comm comm) {
  MPI_Comm copy = MPI_COMM_NULL;
  if (is_simulated) {
    check(MPI_Comm_dup(comm, &copy), "MPI_Comm_dup");
  } else {
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Comm_idup(comm, &copy, &request), "MPI_Comm_idup");
    wait_politely(request);
  }
  check(MPI_Comm_set_errhandler(copy, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  return copy;
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

MPI_Comm Library::machine() {
  if (machine_ != MPI_COMM_NULL) return machine_;
  check(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &machine_),
        "MPI_Comm_split_type");
  check(MPI_Comm_set_errhandler(machine_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  return machine_;
}

Library::~Library() {
  if (is_simulated) return;  // see SimulatedEnd
  int finalised = 0;
  MPI_Finalized(&finalised);
  if (!owned_ || broken_ || finalised != 0) return;
  const Watched watched("ending MPI (MPI_Finalize)", limit_);
  if (machine_ != MPI_COMM_NULL) MPI_Comm_free(&machine_);
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
