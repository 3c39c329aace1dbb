"""epskew as an MPI job: who speaks, what is refused, and how a run ends when a process is lost.

Usage: test_jobs.py EPSKEW MPIRUN...   (unittest arguments may follow after --)
"""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

EPSKEW = ""
MPIRUN = []
LIMIT_S = 40  # a job that has not ended by then hangs
SLACK_S = 15  # what a loaded machine may take to end a job beyond the job's own timeout

SMALL = ["bench", "--backend", "mpi", "--num-tokens", "8", "--hidden", "128", "--num-experts", "24", "--num-topk", "2",
         "--num-masked", "0", "--imbalance-factors", "1"]


def job(processes, arguments, program=None):
    return MPIRUN + ["-n", str(processes), program or EPSKEW] + SMALL + ["--num-processes", str(processes)] + arguments


def run(command):
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)


def complaints(result):
    return [line for line in result.stderr.splitlines() if line.startswith("epskew: ")]


def environment(pid):
    with open(f"/proc/{pid}/environ", encoding="utf-8") as file:
        return dict(item.split("=", 1) for item in file.read().split("\0") if "=" in item)


def workers(ancestor):
    """rank -> pid of the workers (not their guards) below `ancestor`."""
    parent, name = {}, {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8") as file:
                before, after = file.read().rsplit(")", 1)
        except OSError:
            continue
        parent[int(entry)] = int(after.split()[1])
        name[int(entry)] = before.split("(", 1)[1]
    found = {}
    for pid in name:
        if name[pid] != "epskew" or name.get(parent[pid]) != "epskew-guard":
            continue
        above = pid
        while above in parent and above != ancestor:
            above = parent[above]
        if above != ancestor:
            continue
        variables = environment(pid)
        found[int(variables.get("OMPI_COMM_WORLD_RANK", variables.get("PMI_RANK", -1)))] = pid
    return found


def wait_for_output(process, seconds):
    """Returns once the root has printed its first line: by then every process is past MPI_Init."""
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    return bool(ready) and process.stdout.readline() != ""


class Refusals(unittest.TestCase):
    def test_without_a_launcher(self):
        result = run([EPSKEW] + SMALL + ["--num-processes", "2"])

        self.assertEqual(result.returncode, 2)
        self.assertIn("mpirun -n 2", result.stderr)

    def test_job_of_another_size_is_refused_once(self):
        result = run(MPIRUN + ["-n", "3", EPSKEW] + SMALL + ["--num-processes", "2"])

        self.assertEqual(result.returncode, 2)
        self.assertEqual(len(complaints(result)), 1, result.stderr)
        self.assertIn("mpirun -n 2 or set --num-processes 3", complaints(result)[0])

    def test_other_arguments_on_one_process(self):
        first = [EPSKEW] + SMALL + ["--num-processes", "3"]
        result = run(MPIRUN + ["-n", "2"] + first + [":", "-n", "1"] + first + ["--seed", "7"])

        self.assertEqual(result.returncode, 2)
        self.assertEqual(len(complaints(result)), 1, result.stderr)
        self.assertRegex(complaints(result)[0], r"rank 2 \(.*\) was started with other arguments")

    def test_another_build_on_one_process(self):
        with tempfile.TemporaryDirectory() as folder:
            other = os.path.join(folder, "epskew")
            shutil.copy(EPSKEW, other)
            with open(other, "ab") as file:
                file.write(b"\0")
            arguments = SMALL + ["--num-processes", "2"]
            result = run(MPIRUN + ["-n", "1", EPSKEW] + arguments + [":", "-n", "1", other] + arguments)

        self.assertEqual(result.returncode, 2)
        self.assertRegex("".join(complaints(result)), r"rank 1 \(.*\) runs another build")

    def test_unknown_variant_is_refused_once(self):
        result = run(job(2, ["--variant", "exchange=pigeons"]))

        self.assertEqual(result.returncode, 2)
        self.assertEqual(len(complaints(result)), 1, result.stderr)
        self.assertIn("auto, alltoallv, rma, pairwise, node", complaints(result)[0])


class Results(unittest.TestCase):
    def test_only_the_root_speaks(self):
        result = run(job(3, ["--iterations", "3"]))

        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout.count("backend mpi, 3 ranks"), 1)
        self.assertEqual(complaints(result), [])

    def test_result_file_names_places_links_and_choice(self):
        with tempfile.TemporaryDirectory() as folder:
            name = os.path.join(folder, "result.json")
            result = run(job(4, ["--iterations", "3", "--variant", "ranks-per-node=3", "--json", name]))
            self.assertEqual(result.returncode, 0, result.stderr)
            with open(name, encoding="utf-8") as file:
                record = json.load(file)

        topology = record["topology"]
        self.assertEqual(topology["node_of_rank"], [0, 0, 0, 1])
        self.assertEqual(topology["hosts"], [socket.gethostname()] * 2)
        self.assertEqual(len(topology["links"]), 1)
        self.assertGreater(topology["links"][0]["latency_us"], 0)
        self.assertGreater(topology["links"][0]["gb_per_s"], 0)
        choices = [fact for fact in record["config"]["backend_facts"] if fact.startswith("exchange: ")]
        self.assertRegex(choices[0], r"^exchange: (alltoallv|rma|pairwise|node), chosen .*rma [0-9]+ us")
        for measured in record["rounds"]:
            ranks = measured["load"]["rank"]["loads"]
            self.assertEqual(measured["node_load"]["loads"], [sum(ranks[:3]), ranks[3]])

    def test_the_wire_counts_what_a_way_copies(self):
        for variants, basis, phases in [
            (["exchange=alltoallv"], ("selections", "selections"), 3),
            (["exchange=pairwise"], ("messages", "selections"), 3),
            (["exchange=node", "ranks-per-node=4"], ("selections", "selections"), 3),
            (["exchange=node", "ranks-per-node=2"], ("none", "none"), 0),
        ]:
            flags = [word for variant in variants for word in ("--variant", variant)]
            with self.subTest(variants), tempfile.TemporaryDirectory() as folder:
                name = os.path.join(folder, "result.json")
                result = run(job(4, ["--iterations", "3", "--json", name, *flags]))
                self.assertEqual(result.returncode, 0, result.stderr)
                with open(name, encoding="utf-8") as file:
                    bandwidth = json.load(file)["rounds"][0]["bandwidth"]
                self.assertEqual((bandwidth["wire_basis"]["dispatch"], bandwidth["wire_basis"]["combine"]), basis)
                self.assertEqual(len(bandwidth["wire"]), phases)

    def test_the_wire_is_not_counted_while_several_ways_are_tried(self):
        with tempfile.TemporaryDirectory() as folder:
            name = os.path.join(folder, "result.json")
            result = run(job(4, ["--iterations", "3", "--passes", "1", "--json", name, "--variant", "exchange=auto"]))
            self.assertEqual(result.returncode, 0, result.stderr)
            with open(name, encoding="utf-8") as file:
                first, *_, last = [measured["bandwidth"] for measured in json.load(file)["rounds"]]

        self.assertEqual(set(first["wire_basis"].values()), {"none"})
        self.assertEqual(first["wire"], {})
        # The first round had all the tries in it.
        self.assertLessEqual(set(last["wire_basis"].values()), {"messages", "selections"})
        self.assertEqual(len(last["wire"]), 3)


class Losses(unittest.TestCase):
    TIMEOUT_S = 3

    def start(self, exchange):
        return subprocess.Popen(job(3, ["--iterations", "1000000", "--timeout", str(self.TIMEOUT_S),
                                        "--variant", f"exchange={exchange}"]),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def workers_of(self, process):
        """rank -> pid, as soon as all three exist."""
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            pids = workers(process.pid)
            if len(pids) == 3:
                return pids
            time.sleep(0.02)
        return self.fail("the job did not start")

    def end_of(self, process):
        """(exit code, complaints, seconds from now)."""
        start = time.monotonic()
        _, errors = process.communicate(timeout=LIMIT_S)
        lines = [line for line in errors.splitlines() if line.startswith("epskew: ")]
        return process.returncode, lines, time.monotonic() - start

    def lose(self, exchange, rank, with_signal, in_start=False):
        """Starts an endless job, sends a signal to a worker, returns (exit code, complaints, seconds, pids, Open MPI's number of
        the job)."""
        with self.start(exchange) as process:
            try:
                if not in_start:
                    self.assertTrue(wait_for_output(process, LIMIT_S), "the job did not start")
                pids = self.workers_of(process)
                job_number = environment(pids[0]).get("PMIX_NAMESPACE")
                os.kill(pids[rank], with_signal)
                return *self.end_of(process), pids.values(), job_number
            finally:
                process.kill()

    def assert_gone(self, pids):
        deadline = time.monotonic() + 5
        left = list(pids)
        while left and time.monotonic() < deadline:
            left = [pid for pid in left if os.path.exists(f"/proc/{pid}")]
            time.sleep(0.05)
        self.assertEqual(left, [])

    def check(self, exchange, rank, with_signal, in_start=False):
        code, lines, seconds, pids, job_number = self.lose(exchange, rank, with_signal, in_start)

        self.assertEqual(code, 4, lines)
        self.assertRegex("\n".join(lines), rf"rank {rank} (\(|on )")
        self.assertLess(seconds, self.TIMEOUT_S + SLACK_S)
        self.assert_gone(pids)
        if job_number:
            self.assertEqual([name for name in os.listdir("/dev/shm") if f".{int(job_number):x}." in name], [])
        return lines

    def test_killed(self):
        lines = self.check("node", 1, signal.SIGKILL)

        self.assertRegex("\n".join(lines), r"rank 1 on .* was killed by signal 9")

    def test_root_killed(self):
        self.check("alltoallv", 0, signal.SIGKILL)

    def test_stopped(self):
        for exchange in ("alltoallv", "rma", "node"):
            with self.subTest(exchange=exchange):
                self.check(exchange, 2, signal.SIGSTOP)

    def test_root_stopped(self):
        self.check("node", 0, signal.SIGSTOP)

    def test_stopped_while_mpi_starts(self):
        lines = self.check("node", 1, signal.SIGSTOP, in_start=True)

        self.assertRegex("\n".join(lines), r"rank 1 on .* was stopped by a signal and not continued for 3.0 s")

    def test_a_pause_shorter_than_the_timeout_is_no_loss(self):
        with self.start("node") as process:
            try:
                pids = self.workers_of(process)
                os.kill(pids[1], signal.SIGSTOP)
                time.sleep(0.5)
                os.kill(pids[1], signal.SIGCONT)
                # Had the guard missed that the worker goes on, it would end it within this time.
                time.sleep(self.TIMEOUT_S + 1)
                self.assertIsNone(process.poll())
            finally:
                process.terminate()
                process.communicate(timeout=LIMIT_S)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    rest = []
    if "--" in arguments:
        split = arguments.index("--")
        arguments, rest = arguments[:split], arguments[split + 1:]
    EPSKEW, MPIRUN = arguments[0], arguments[1:]
    unittest.main(argv=[sys.argv[0]] + rest)
