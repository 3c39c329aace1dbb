// The conformance suite with one process per rank, as a job of run_job.py, torchrun or mpirun.

#include <cstdio>

#include "backends/cuda/job.hpp"
#include "conformance/backend_under_test.hpp"
#include "conformance/job.hpp"

const epskew::Backend& epskew::testing::backend_under_test() {
  return *find_backend("cuda");
}

int main(int argc, char** argv) {
  const auto job = epskew::cuda::find_job();
  if (!job) {
    std::fprintf(stderr, "not started as a job: no launcher's variables are set\n");
    return 2;
  }
  return epskew::testing::run_suite(argc, argv, job->rank, job->size);
}
