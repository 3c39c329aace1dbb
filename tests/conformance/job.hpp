#pragma once

/// The conformance suite as a job of processes, one rank each. The executable says which backend
/// (backend_under_test) and has a main that calls run_suite; scenarios of other sizes than the job's are
/// skipped.

namespace epskew::testing {

/// Runs the suite as rank `rank` of `size`; arguments VARIANT=VALUE become the variants under test. Rank 0
/// prints; another process speaks only where something fails there. The exit status, 2 for an argument that
/// is no variant.
int run_suite(int argc, char** argv, int rank, int size);

}  // namespace epskew::testing
