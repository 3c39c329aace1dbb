"""The conformance suite built for MPICH: the ways to exchange that pass messages between nodes, at 2 to 4 processes.

Usage: test_mpich.py FOLDER (a build with EPSKEW_MPI=mpich and tests)
"""

import pathlib
import re
import subprocess
import sys
import unittest

import other_mpi

FOLDER = pathlib.Path()
LIMIT_S = 200


class Mpich(unittest.TestCase):
    def passes(self, processes, cases, fewest, *variant):
        command = ["mpiexec.mpich", "-n", str(processes), str(FOLDER / "tests/mpi/conformance_mpi"), *variant, "--gtest_brief=1",
                   f"--gtest_filter={cases}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertGreaterEqual(int(re.search(r"PASSED  \] ([0-9]+) tests", done.stdout)[1]), fewest)

    def test_the_program_is_linked_to_mpich(self):
        linked = subprocess.run(["ldd", str(FOLDER / "tests/mpi/conformance_mpi")], capture_output=True, text=True, check=True).stdout

        self.assertIn("libmpich", linked)
        self.assertNotIn("libmpi.so", linked)  # Open MPI's

    def test_pairwise_passes_at_two_and_four(self):
        self.passes(2, "*", 40, "exchange=pairwise")
        self.passes(4, "*", 70, "exchange=pairwise")

    # A few cases each: MPICH's blocking collectives keep the core while they wait, and windows need them.
    def test_node_passes_at_three_and_on_nodes_of_two(self):
        self.passes(3, "*ThreeRanks_*:*MaskedTokens_fp8", 10, "exchange=node")
        self.passes(4, "*FourRanks_fp8:*EmptyRank_bf16:Conformance.Many*", 6, "exchange=node", "ranks-per-node=2")


if __name__ == "__main__":
    FOLDER = pathlib.Path(sys.argv[1]).resolve()
    REASON = other_mpi.why_not(FOLDER, ["mpiexec.mpich", "mpicxx.mpich"], "mpich and libmpich-dev",
                               {"EPSKEW_MPI": "mpich", "EPSKEW_BUILD_TESTS": "ON"})
    if REASON:
        print(f"skipped: MPICH: {REASON}")
        sys.exit(77)
    other_mpi.build(FOLDER, "conformance_mpi")
    unittest.main(argv=[sys.argv[0]] + sys.argv[2:])
