"""epskew across hosts made of network namespaces: the suite, slow links in the record, a link that is cut mid-run.

Usage: test_hosts.py EPSKEW CONFORMANCE
"""

import json
import os
import re
import select
import subprocess
import sys
import tempfile
import time
import unittest

import hosts

EPSKEW = ""
CONFORMANCE = ""
LIMIT_S = 60
SLACK_S = 20  # what the launcher and a loaded machine may take beyond a run's timeout
REASON = hosts.why_not()

SMALL = ["bench", "--backend", "mpi", "--num-tokens", "8", "--hidden", "1024", "--num-experts", "40", "--num-topk", "4",
         "--num-masked", "0", "--imbalance-factors", "1"]


def run(command):
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)


@unittest.skipIf(REASON, REASON)
class SeveralHosts(unittest.TestCase):
    def bench(self, net, processes, per_host, *arguments):
        """(finished process, record)."""
        with tempfile.TemporaryDirectory() as folder:
            name = os.path.join(folder, "result.json")
            result = run(net.mpirun(processes, per_host) + [EPSKEW] + SMALL
                         + ["--num-processes", str(processes), "--json", name, *arguments])
            self.assertEqual(result.returncode, 0, result.stderr)
            with open(name, encoding="utf-8") as file:
                return result, json.load(file)

    def test_the_suite_passes_on_two_hosts(self):
        with hosts.Hosts(2) as net:
            for exchange, transport in (("alltoallv", []), ("rma", ["--mca", "osc", "pt2pt"]), ("node", [])):
                with self.subTest(exchange=exchange):
                    result = run(net.mpirun(4, 2) + transport + [CONFORMANCE, f"exchange={exchange}", "--gtest_brief=1",
                                                     "--gtest_filter=*FourRanks_fp8:*EmptyRank_bf16:Conformance.Two*:Conformance.One*"])
                    self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
                    self.assertRegex(result.stdout, r"PASSED.*m6 tests")

    def test_one_sided_exchange_says_what_it_needs_between_hosts(self):
        with hosts.Hosts(2) as net:
            refused = run(net.mpirun(2, 1) + [EPSKEW] + SMALL + ["--num-processes", "2", "--variant", "exchange=rma"])
            _, record = self.bench(net, 2, 1, "--iterations", "2")

        if refused.returncode == 0:
            self.skipTest("this Open MPI has a one-sided transport over TCP by default")
        self.assertIn("--mca osc pt2pt", refused.stderr)
        choice = [fact for fact in record["config"]["backend_facts"] if fact.startswith("exchange: ")][0]
        self.assertNotIn("rma", choice)

    def test_three_hosts_of_unequal_size_have_their_names_in_the_record(self):
        with hosts.Hosts(3) as net:
            _, record = self.bench(net, 5, 2, "--iterations", "2", "--variant", "exchange=node")
            expected = [net.name(host) for host in range(3)]

        self.assertEqual(record["topology"]["hosts"], expected)
        self.assertEqual(record["topology"]["node_of_rank"], [0, 0, 1, 1, 2])

    def test_the_suite_passes_on_four_hosts_of_one_process(self):
        with hosts.Hosts(4) as net:
            result = run(net.mpirun(4, 1) + [CONFORMANCE, "exchange=node", "--gtest_brief=1",
                                             "--gtest_filter=*FourRanks_*:*EmptyRank_*:Conformance.Many*:Conformance.Two*"])

        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertRegex(result.stdout, r"PASSED.*m19 tests")

    def test_a_slow_link_stands_in_the_record(self):
        measured = []
        with hosts.Hosts(2) as net:
            net.limit(1, "100mbit")
            # Other work on the machine can only make the link look slower, so one good look of several is enough.
            for _ in range(4):
                _, record = self.bench(net, 2, 1, "--iterations", "2", "--variant", "exchange=node")
                measured.append(record["topology"]["links"][0]["gb_per_s"])
                if measured[-1] > 0.0125 * 0.5:
                    break
            sent = net.sent_bytes(1)

        # The bucket lets a short burst through at full speed.
        self.assertLess(max(measured), 0.0125 * 1.1)
        self.assertGreater(max(measured), 0.0125 * 0.5)
        # What was timed went over that link: three messages of the probe at least.
        self.assertGreater(sent, 3 * (64 << 10))

    def test_a_delayed_link_stands_in_the_record(self):
        with hosts.Hosts(2) as net:
            refused = net.delay(1, "5ms")
            if refused:
                self.skipTest(refused)
            _, record = self.bench(net, 2, 1, "--iterations", "2", "--variant", "exchange=node")
        link = record["topology"]["links"][0]

        # Both directions of the host's link are delayed by 5 ms, and one way passes one of them.
        self.assertGreater(link["latency_us"], 4900)
        self.assertLess(link["latency_us"], 100_000)

    def cut(self, net, timeout_s, command):
        """Starts an endless run, cuts host 1 off, returns (exit code, what was said, processes that are left)."""
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            ready, _, _ = select.select([process.stdout], [], [], LIMIT_S)
            self.assertTrue(ready and process.stdout.readline(), "the run did not start")
            self.assertEqual(len(net.running(EPSKEW, 0)), 4, "two workers and their guards")
            net.cut(1)
            deadline = time.monotonic() + timeout_s + SLACK_S
            while time.monotonic() < deadline and (net.running(EPSKEW, 0) + net.running(EPSKEW, 1) or process.poll() is None):
                time.sleep(0.1)
            code = process.poll()
            left = net.running(EPSKEW, 0) + net.running(EPSKEW, 1)
            net.kill_all()
            _, errors = process.communicate(timeout=LIMIT_S)
        return code, errors, left

    def test_a_cut_link_ends_the_run_on_both_sides_and_names_the_other(self):
        timeout_s = 4
        with hosts.Hosts(2) as net:
            launcher = os.path.join(os.path.dirname(__file__), "..", "..", "tools", "epskew-mpirun")
            command = net.mpirun(4, 2, os.path.abspath(launcher)) + [EPSKEW] + SMALL + [
                "--num-processes", "4", "--iterations", "1000000", "--timeout", str(timeout_s), "--variant", "exchange=node"]
            code, errors, left = self.cut(net, timeout_s, command)
            other = re.escape(net.name(1))

        self.assertEqual(left, [])
        self.assertEqual(code, 4, errors)
        self.assertRegex(errors, rf"epskew: rank [01] \(.* waited .* for rank [23] \({other}, pid [0-9]+\)")

    def test_plain_mpirun_does_not_outlive_a_run_that_lost_a_host(self):
        timeout_s = 4
        with hosts.Hosts(2) as net:
            command = net.mpirun(4, 2) + [EPSKEW] + SMALL + [
                "--num-processes", "4", "--iterations", "1000000", "--timeout", str(timeout_s), "--variant", "exchange=pairwise"]
            code, errors, left = self.cut(net, timeout_s, command)
            other = re.escape(net.name(1))

        self.assertEqual(left, [])
        self.assertEqual(code, -9, errors)  # nothing but a signal ends it
        self.assertRegex(errors, rf"epskew: rank [01] \(.* waited .* for rank [23] \({other}, pid [0-9]+\)")
        self.assertRegex(errors, r"the job has ended with exit code 4, its launcher \(pid [0-9]+\) has not")


if __name__ == "__main__":
    EPSKEW, CONFORMANCE = sys.argv[1:3]
    if REASON:
        print(f"skipped: {REASON}")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0]] + sys.argv[3:])
