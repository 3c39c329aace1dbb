"""The program built for SimGrid's SMPI: eight ranks on the described node, with rows and folded.

Usage: test_simulated.py EPSKEW SOURCE FOLDER (a build with EPSKEW_MPI=smpi)
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

import other_mpi

EPSKEW = ""
SOURCE = pathlib.Path()
FOLDER = pathlib.Path()
RANKS = 8
FACTORS = ["1.0", "3.0"]
# Rows of a rank take more than the MiB from which on memory is folded.
TOKENS, TOPK, EXPERTS, HIDDEN = 32, 8, 64, 7168
SHAPE = ["--num-tokens", TOKENS, "--num-topk", TOPK, "--num-experts", EXPERTS, "--num-masked", 0]
RUN = [*SHAPE, "--hidden", HIDDEN, "--iterations", 1, "--imbalance-factors", ",".join(FACTORS)]


def simulated(folded):
    """Record of one simulated run, as bench/simulation/simulate.py makes them."""
    import machines
    import simulate
    args = argparse.Namespace(build=FOLDER, schedule="pairwise", timeout=100, num_tokens=TOKENS, num_topk=TOPK)
    record, _, _ = simulate.simulate(args, machines.gpus(RANKS), "one node", RANKS, RUN, folded)
    return record


def bytes_of(measured):
    """By what is counted and phase."""
    return {count: {phase: at["bytes"] for phase, at in measured["bandwidth"][count].items()}
            for count in ("send_logical", "hot_receive", "wire")}


def digest_here(factor):
    """Of the routing that the program beside this test makes of the same spec."""
    with tempfile.TemporaryDirectory() as folder:
        command = [EPSKEW, "gen", "--num-processes", RANKS, *SHAPE, "--imbalance-factors", factor, "-o", f"{folder}/routing"]
        return subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True).stdout.split()[-1]


class Simulated(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.plain = simulated(folded=False)
        cls.folded = simulated(folded=True)

    def rounds(self, record):
        return {r["label"]: r for r in record["rounds"]}

    def test_it_runs_the_routing_of_every_other_build(self):
        for factor in FACTORS:
            for record in (self.plain, self.folded):
                self.assertEqual(self.rounds(record)[factor]["workload"]["digest"], digest_here(factor), factor)

    def test_the_oracle_checks_rows_that_travel(self):
        self.assertEqual([r["oracle"] for r in self.plain["rounds"]], [{"before": "passed", "after": "passed"}] * 3)
        self.assertFalse(self.plain["simulation"]["payload_folded"])

    def test_folded_rows_hold_nothing_to_check_and_the_record_says_so(self):
        self.assertEqual([r["oracle"] for r in self.folded["rounds"]], [{"before": None, "after": None}] * 3)
        self.assertTrue(self.folded["simulation"]["payload_folded"])

    # Times are not the same to the last digit: ranks begin an iteration where the operations before it have left them, and the
    # oracle's are such operations.
    def test_folding_changes_no_bytes_and_hardly_a_time(self):
        for plain, folded in zip(self.plain["rounds"], self.folded["rounds"], strict=True):
            self.assertEqual(bytes_of(plain), bytes_of(folded), plain["label"])
            for phase in ("dispatch", "combine", "dispatch_combine"):
                times = [r["timing"][phase]["slowest_rank"]["mean"] for r in (plain, folded)]
                self.assertAlmostEqual(times[0] / times[1], 1, delta=0.05, msg=(plain["label"], phase))

    def test_folding_that_would_hit_lists_is_refused(self):
        import simulate
        least = max(2**20, 16 * RANKS * TOKENS * TOPK)
        for asked, why in ((least - 1, "too little for this shape"), ("many", "not a number of bytes"), ("2e6", "not a number of bytes")):
            with self.subTest(asked), unittest.mock.patch.object(simulate, "folded_from", lambda *_, asked=asked: asked):
                with self.assertRaisesRegex(SystemExit, f"failed with 2: (.|\n)*EPSKEW_FOLD_PAYLOAD={asked} is {why}"):
                    simulated(folded=True)

    def test_results_take_the_time_of_the_hot_ranks_link(self):
        measured = self.rounds(self.plain)["3.0"]
        hot_load = 3 * RANKS * TOKENS * TOPK // RANKS
        leaves_the_rank = hot_load - TOKENS * TOPK  # or more: at most all selections of its own tokens stay
        at_least_us = leaves_the_rank * 2 * HIDDEN / 450e9 * 1e6

        self.assertEqual(max(measured["load"]["rank"]["loads"]), hot_load)
        self.assertGreater(measured["timing"]["combine"]["slowest_rank"]["mean"], at_least_us)
        self.assertGreater(measured["timing"]["combine"]["slowest_rank"]["mean"],
                           self.rounds(self.plain)["1.0"]["timing"]["combine"]["slowest_rank"]["mean"])


if __name__ == "__main__":
    EPSKEW = sys.argv[1]
    SOURCE, FOLDER = (pathlib.Path(name).resolve() for name in sys.argv[2:4])
    REASON = other_mpi.why_not(FOLDER, ["smpirun"], "libsimgrid-dev",
                               {"EPSKEW_MPI": "smpi", "EPSKEW_ENABLE_CUDA": "OFF", "EPSKEW_BUILD_BENCH": "OFF"})
    if REASON:
        print(f"skipped: simulated runs: {REASON}")
        sys.exit(77)
    sys.path[:0] = [str(SOURCE / "bench/simulation")]
    other_mpi.build(FOLDER, "epskew")
    unittest.main(argv=[sys.argv[0]] + sys.argv[4:])
