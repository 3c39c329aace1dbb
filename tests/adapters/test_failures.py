"""Libraries that are wrong, and ranks that die, hang or fail: the right exit code, the right name, nothing left."""

import os
import pathlib
import shutil
import signal
import subprocess
import time
import unittest
import uuid

import runner


def rank_processes(mark):
    """Process ids of the ranks of a run that was started with MARK=mark."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes()
            marked = b"MARK=" + mark.encode() in (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"epskew.bench.rank" in line and marked:
            found.append(int(folder.name))
    return found


class FaultTest(runner.RunnerTest):
    def wrong(self, *options):
        """What the oracle says about a faulty library."""
        result = self.expect(3, "--adapter", "faulty:FaultyTorch", "--device", "cpu", "--num-processes", "2", *options)
        self.assertRegex(result.stderr, r"round \S+, before the timing: ")
        return result.stderr

    def test_swapped_tokens_are_found(self):
        message = self.wrong("--variant", "fault=swap", "--modes", "split")

        self.assertRegex(message, r"dispatch: rank 1, .*token \d+.*expected \S+, found \S+")

    def test_a_wrong_scale_is_found(self):
        message = self.wrong("--variant", "fault=scale", "--dispatch-format", "fp8_pow2", "--modes", "fused")

        self.assertRegex(message, r"dispatch: rank 1, .*scale \S+ is wrong")

    def test_a_dropped_message_is_found(self):
        message = self.wrong("--variant", "fault=drop", "--dispatch-format", "bf16", "--modes", "split")

        self.assertIn("dispatch: rank 1, ", message)

    def test_a_missing_contribution_is_found(self):
        message = self.wrong("--variant", "fault=combine", "--dispatch-format", "bf16", "--modes", "fused")

        self.assertRegex(message, r"combine: rank 1, token \d+, column \d+: expected \S+, found \S+")


class ForgetfulTest(runner.RunnerTest):
    """Libraries that are right as long as nobody is timing them."""

    def wrong(self, fault, mode):
        result = self.expect(3, "--adapter", "faulty:ForgetfulTorch", "--variant", f"fault={fault}", "--modes", mode,
                             "--device", "cpu", "--num-processes", "2", "--dispatch-format", "bf16")
        return result.stderr

    def test_a_dispatch_that_is_skipped_is_found_in_the_timing(self):
        for mode in ("pair", "split"):
            self.assertRegex(self.wrong("dispatch", mode), r"round \S+, in the timing: dispatch: rank 1, ")

    def test_a_combine_that_is_skipped_is_found_in_the_timing(self):
        self.assertRegex(self.wrong("combine", "fused"), r"round \S+, in the timing: combine: rank 1, ")

    def test_answers_by_address_are_found(self):
        self.assertRegex(self.wrong("address", "fused"), r"round \S+, before the timing: dispatch: rank 1, ")


class FailureTest(runner.RunnerTest):
    def setUp(self):
        self.mark = str(uuid.uuid4())

    def tearDown(self):
        left = rank_processes(self.mark)
        for process in left:
            os.kill(process, signal.SIGKILL)
        self.assertEqual(left, [])

    def fail(self, code, *options):
        result = self.expect(code, "--adapter", "faulty:FailingTorch", "--device", "cpu", "--num-processes", "2",
                             "--dispatch-format", "bf16", "--modes", "fused", *options, MARK=self.mark)
        return result.stderr

    def test_a_rank_that_dies_is_named(self):
        message = self.fail(4, "--variant", "act=die")

        self.assertRegex(message, r"rank 1 was killed by signal 9 in dispatch of round \S+")

    def test_a_rank_that_is_stopped_ends_the_run_in_time(self):
        begin = time.monotonic()
        message = self.fail(4, "--variant", "act=stop", "--timeout", "2")

        self.assertRegex(message, r"rank 1 \(stopped in dispatch of round \S+ for 2\.\d s\) took too long")
        self.assertNotIn("rank 0", message)
        self.assertLess(time.monotonic() - begin, 60)

    def test_a_rank_that_never_sets_up_is_named(self):
        message = self.fail(4, "--variant", "act=hang", "--variant", "at=set-up", "--setup-timeout", "8")

        # Rank 0 and the launcher notice at the same time; either may be the one that says so.
        self.assertRegex(message, r"(waited in vain for )?rank 1 \(in set-up for 8\.\d s\)( took too long)?")

    def test_an_adapter_that_raises_is_no_lost_rank(self):
        message = self.fail(1, "--variant", "act=raise")

        self.assertIn("rank 1: ValueError: this adapter is broken", message)

    def cling(self, code, *options):
        return self.expect(code, "--adapter", "faulty:ClingingTorch", "--device", "cpu", "--num-processes", "2",
                           "--dispatch-format", "bf16", "--modes", "fused", *options, MARK=self.mark)

    def test_what_a_library_runs_at_exit_keeps_nobody(self):
        result = self.cling(0, "--variant", "in=exit")

        self.assertIn("slowest rank", result.stdout)
        self.assertNotIn("did not end", result.stderr)

    def test_a_rank_that_hangs_when_all_is_done_is_ended_and_named(self):
        result = self.cling(0, "--variant", "in=group")

        self.assertIn("slowest rank", result.stdout)
        self.assertIn("epskew: rank 1 did not end when all was done", result.stderr)

    def test_after_an_error_too(self):
        result = self.cling(1, "--variant", "in=exit", "--variant", "fail=yes")

        self.assertIn("ValueError: this adapter is broken", result.stderr)

    def test_ranks_die_with_their_launcher(self):
        launcher = subprocess.Popen(
            runner.command("--adapter", "faulty:FailingTorch", "--variant", "act=hang", "--device", "cpu", "--num-processes",
                           "2", "--dispatch-format", "bf16", *runner.SMALL),
            env=runner.environment(MARK=self.mark), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while len(rank_processes(self.mark)) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        ranks = rank_processes(self.mark)
        self.assertEqual(len(ranks), 2)
        # A launcher that is killed cannot remove its folder; the last argument of its ranks names it.
        folder = pathlib.Path(f"/proc/{ranks[0]}/cmdline").read_bytes().split(b"\0")[-2].decode()
        self.addCleanup(shutil.rmtree, folder)
        os.kill(launcher.pid, signal.SIGKILL)
        launcher.wait()
        while rank_processes(self.mark) and time.monotonic() < deadline:
            time.sleep(0.1)

        self.assertEqual(rank_processes(self.mark), [])


if __name__ == "__main__":
    unittest.main()
