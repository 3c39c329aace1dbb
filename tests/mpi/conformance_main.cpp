// The conformance suite as an MPI program: mpirun -n R conformance_mpi [VARIANT=VALUE]...

#include <fmt/format.h>

#include "conformance/backend_under_test.hpp"
#include "conformance/job.hpp"
#include "epskew/support/launcher.hpp"

const epskew::Backend& epskew::testing::backend_under_test() {
  return *find_backend("mpi");
}

int main(int argc, char** argv) {
  const auto process = epskew::launched_process();
  if (!process) {
    fmt::print(stderr, "start with mpirun -n R {} [VARIANT=VALUE]...\n", argv[0]);
    return 2;
  }
  return epskew::testing::run_suite(argc, argv, process->rank, process->size);
}
