import csv
import io
import json
import os
import re
import pathlib
import signal
import subprocess
import sys
import time
import unittest

from program import DATA, SOURCE, ProgramTest

sys.path.insert(0, str(SOURCE / "tests/golden"))
from validate_schema import first_problem  # noqa: E402

SMALL = {"--num-processes": 4, "--num-tokens": 16, "--hidden": 128, "--num-experts": 16, "--num-topk": 2, "--num-masked": 1,
         "--iterations": 5, "--warmup": 1}


def small(*arguments):
    """bench on a small shape; `arguments` win over it."""
    shape = [word for flag, value in SMALL.items() if flag not in arguments for word in (flag, value)]
    return ("bench", "--no-flush", *shape, *arguments)


def endurance(*arguments):
    """The same without what only the timing knows."""
    words = list(map(str, small(*arguments)))
    for flag, length in {"--no-flush": 1, "--iterations": 2, "--warmup": 2}.items():
        at = words.index(flag)
        del words[at:at + length]
    return words


def shared_memory():
    """Without what MPI jobs of other tests come and go with."""
    return sorted(p.name for p in pathlib.Path("/dev/shm").iterdir() if not p.name.startswith("vader_segment"))


def children_of(parent):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # gone since
        if fields[1] == str(parent):
            found.append(int(entry.name))
    return found


class BenchTest(ProgramTest):
    def bench(self, *arguments):
        return json.loads(self.succeed(*small(*arguments), "--json", "-"))

    def test_the_rounds_come_in_order_and_exact(self):
        record = self.bench("--imbalance-factors", 1, "2,3.5")

        self.assertIsNone(first_problem(record))
        self.assertEqual([r["label"] for r in record["rounds"]], ["uniform", "1.0", "2.0", "3.5"])
        self.assertEqual([r["target_factor"] for r in record["rounds"]], [None, 1, 2, 3.5])
        mean = (16 * 2 - 1) * 4 / 4
        for r in record["rounds"][1:]:
            self.assertEqual(r["load"]["rank"]["max"], int(r["target_factor"] * mean + 0.5))
            self.assertEqual(r["oracle"], {"before": "passed", "after": "passed"})

    def test_the_link_model_is_made_where_asked_for_and_says_so(self):
        record = self.bench("--backend", "reference", "--link-bandwidth", 50)

        self.assertEqual(record["link_assumption"]["gb_per_s"], 50)
        model = record["rounds"][0]["link_model"]["dispatch"]
        self.assertAlmostEqual(model["us"], model["bytes"] / 50e3)
        self.assertIsNone(record["emulation"])
        self.assertIsNone(self.bench("--backend", "reference")["link_assumption"])
        self.refuse("--link-bandwidth", *small("--link-bandwidth", 0))

    def test_micro_batches_have_buffers_of_their_own(self):
        one = self.bench("--backend", "cpu")
        two = self.bench("--backend", "cpu", "--micro-batches", 2)

        self.assertEqual(one["config"]["micro_batches"], 1)
        self.assertEqual(two["config"]["micro_batches"], 2)
        reserved = [record["rounds"][0]["memory"]["reserved_bytes"][0] for record in (one, two)]
        self.assertGreater(reserved[1], 1.8 * reserved[0])

    def test_the_pressure_test_keeps_two_micro_batches_in_flight(self):
        text = self.succeed(
            *endurance("--backend", "cpu", "--micro-batches", 2, "--pressure-test", "--pressure-seconds", 0.01)
        ).decode()

        seeds, operations = map(int, re.search(r"passed: (\d+) seeds, (\d+) operations a rank", text).groups())
        self.assertEqual(operations, seeds * 2 * 22)

    def test_the_pressure_test_repeats_every_seed(self):
        text = self.succeed(*endurance("--backend", "cpu", "--pressure-test", "--pressure-seconds", 0.01)).decode()

        self.assertRegex(text, r"seed 0 +hash [0-9a-f]{16}  identical over all repeats")
        self.assertRegex(text, r"passed: \d+ seeds, \d+ operations a rank")

    def test_the_shrink_test_says_who_was_lost_and_who_waited(self):
        text = self.succeed(*endurance("--backend", "cpu", "--shrink-test", "--timeout", 1)).decode()

        self.assertRegex(text, r"rank 1 .*signal 9.* after [0-9.]+ s in .*; in vain waited: ")
        self.assertRegex(text, r"rank 3 .*signal 9")
        self.assertRegex(text, r"passed: \d+ operations of the survivors")

    def test_endurance_flags_that_make_no_sense_are_refused(self):
        self.refuse("--shrink-test", *endurance("--pressure-test", "--shrink-test"))
        self.refuse("--pressure-seconds", *small("--pressure-seconds", 3))
        for flag in (["--json", "x.json"], ["--steps", 3], ["--iterations", 9], ["--passes", 2], ["--no-flush"]):
            with self.subTest(flag):
                self.refuse(f"--pressure-test and {flag[0]} are both given", *endurance("--pressure-test"), *flag)
        self.refuse("one process", *endurance("--backend", "reference", "--shrink-test"))
        self.refuse("--num-processes", *endurance("--backend", "cpu", "--num-processes", 2, "--imbalance-factors", 1, "--shrink-test"))

    def test_default_factors_out_of_reach_are_left_out_aloud(self):
        text = self.succeed(*small("--num-processes", 2)).decode()

        self.assertIn("note: the default factor 3 is left out: this workload reaches at most 2.00", text)
        self.assertRegex(text, r"(?m)^2.0 \(2.00\)")
        self.refuse("out of reach", *small("--num-processes", 2, "--imbalance-factors", 3))

    def test_a_pattern_has_its_default_factors(self):
        record = self.bench("--backend", "reference", "--pattern", "hot-rank")

        self.assertEqual([r["label"] for r in record["rounds"]], ["uniform", "1.0", "2.0", "3.0"])
        loads = record["rounds"][3]["load"]["rank"]["loads"]
        self.assertEqual(sorted(loads), [10, 10, 11, 93])  # 3 of 124 / 4, the others alike

    def test_default_factors_that_a_placement_cannot_reach_are_left_out_aloud(self):
        flags = ("--backend", "reference", "--distribution", "weibull", "--law-level", "expert", "--placement", "spread")
        text = self.succeed(*small(*flags)).decode()

        self.assertRegex(text, r"note: the default factor 3 is left out: this workload reaches at most 2\.\d+")
        self.assertRegex(text, r"(?m)^2.0 \(2.00\)")
        self.refuse("under this placement weibull experts reach at most", *small(*flags, "--imbalance-factors", 3))

    def test_a_pattern_that_decides_its_loads_takes_no_factor(self):
        for factors in ("1", "1,2"):
            self.refuse("--imbalance-factors and --pattern k-hot are both given",
                        *small("--pattern", "k-hot", "--hot-experts", 4, "--hot-fraction", 0.5, "--imbalance-factors", factors))

    def test_every_step_of_a_burst_is_a_round(self):
        arguments = ("--backend", "reference", "--pattern", "burst", "--burst-period", 2, "--imbalance-factors", 3)
        record = self.bench(*arguments, "--steps", 2)
        text = self.succeed(*small(*arguments, "--step", 1)).decode()

        self.assertEqual([r["label"] for r in record["rounds"]], ["uniform", "1.0", "3.0 step 0 cold", "3.0 step 1"])
        self.assertEqual([r["target_factor"] for r in record["rounds"]], [None, 1, 1, 3])
        self.assertEqual([r["load"]["rank"]["max"] for r in record["rounds"][1:]], [31, 31, 93])
        self.assertEqual(record["rounds"][3]["workload"]["parameters"], {"burst_period": 2, "step": 1})
        self.assertIsNotNone(record["rounds"][2]["cost_of_imbalance"])
        self.assertRegex(text, r"(?m)^3.0 step 1 \(3.00\)")
        self.refuse("only rotating and burst differ", *small("--steps", 2))
        self.refuse("--steps 0 is out of range", *small("--pattern", "burst", "--steps", 0))
        self.refuse("--steps and --trace are both given", *small("--steps", 2, "--trace", DATA / "mixtral.jsonl"))

    def test_a_recorded_curve_is_named_as_its_law_is(self):
        law = self.folder / "law.json"
        law.write_text(json.dumps({"format": "epskew-law", "version": 1, "level": "rank", "family": "measured",
                                   "curve": [0.5, 0.75, 1, 1.75]}))
        record = self.bench("--backend", "reference", "--law", law)
        bent = self.bench("--backend", "reference", "--law", law, "--imbalance-factors", 2)

        self.assertEqual(record["config"]["distribution"], "measured")
        self.assertEqual([r["label"] for r in record["rounds"]], ["uniform", "1.0", "measured"])
        self.assertEqual(record["rounds"][2]["workload"]["distribution"], "measured")
        self.assertEqual(bent["rounds"][2]["load"]["rank"]["max"], 62)

    def test_the_shape_of_a_law_is_bent_to_a_factor(self):
        law = self.folder / "law.json"
        law.write_text(json.dumps({"format": "epskew-law", "version": 1, "level": "rank", "family": "gamma",
                                   "parameters": {"shape": 2.0}}))
        record = self.bench("--backend", "reference", "--law", law, "--imbalance-factors", 2)

        self.assertEqual(record["config"]["distribution"], "gamma")
        self.assertEqual(record["rounds"][2]["load"]["rank"]["max"], 62)

    def test_a_routing_file_is_replayed_as_itself(self):
        routing = self.folder / "routing.safetensors"
        made = self.succeed("gen", "--num-tokens-per-rank", "16,0,9,12", "--num-experts", 16, "--num-topk", 2, "--num-masked", 3,
                            "--imbalance-factor", 2.5, "-o", routing).decode()
        replay = ("bench", "--backend", "reference", "--no-flush", "--hidden", 128, "--iterations", 5, "--trace", routing)
        record = json.loads(self.succeed(*replay, "--json", "-"))
        other = json.loads(self.succeed(*replay, "--num-processes", 2, "--num-tokens", 4, "--json", "-"))

        self.assertEqual(record["config"]["tokens_per_rank"], [16, 0, 9, 12])
        self.assertIn("digest " + record["rounds"][2]["workload"]["digest"], made)
        self.assertEqual(other["config"]["tokens_per_rank"], [4, 4])

    def test_two_results_in_one_place_are_refused(self):
        (self.folder / "link").symlink_to("r.json")
        for other in (self.folder / "r.json", f"{self.folder}/./r.json", self.folder / "link"):
            self.refuse("are the same file", *small("--json", self.folder / "r.json", "--csv", other))
        self.refuse("standard output is asked for twice", *small("--json", "-", "--html", "-"))
        self.succeed(*small("--backend", "reference", "--json", "/dev/null", "--csv", "/dev/null"))

    def test_a_full_disk_is_no_success(self):
        with open("/dev/full", "w") as full:
            self.end_with_failure("writing standard output failed", *small("--backend", "reference"), stdout=full)
            self.end_with_failure("writing standard output failed", *small("--backend", "reference", "--json", "-"), stdout=full)
            self.end_with_failure("writing standard output failed", "--help", stdout=full)

    def test_every_phase_has_its_matrix(self):
        record = self.bench()

        for r in record["rounds"]:
            for phase, timed in r["timing"].items():
                self.assertEqual([len(row) for row in timed["samples_us"]], [4] * 5, phase)
                self.assertEqual(timed["slowest_rank"]["max"], max(max(row) for row in timed["samples_us"]))
                self.assertIsNone(timed["slowest_rank"]["p99"])

    def test_the_default_rounds_are_those_of_deepep(self):
        labels = [r["label"] for r in self.bench("--backend", "reference")["rounds"]]

        self.assertEqual(labels, ["uniform", "1.0", "2.0", "3.0"])

    def test_a_seed_is_a_routing_on_every_backend(self):
        digests = lambda *a: [r["workload"]["digest"] for r in self.bench(*a)["rounds"]]  # noqa: E731

        same = digests("--seed", 5, "--backend", "reference")
        self.assertEqual(same, digests("--seed", 5, "--backend", "cpu"))
        self.assertNotEqual(same, digests("--seed", 6, "--backend", "cpu"))

    def test_tables_go_to_stderr_when_a_result_goes_to_stdout(self):
        result = self.run_program(*small("--csv", "-"))

        rows = list(csv.DictReader(io.StringIO(result.stdout.decode())))
        self.assertEqual(len(rows), 4 * 7)
        self.assertTrue(all(None not in row and None not in row.values() for row in rows))
        self.assertEqual(rows[0]["round"], "uniform")
        self.assertIn(b"What imbalance costs", result.stderr)

    def test_files_and_tables(self):
        text = self.succeed(*small("--json", self.folder / "r.json", "--csv", self.folder / "r.csv")).decode()

        self.assertIn("Per-rank token distribution", text)
        self.assertIn("dispatch+combine (us)", text)
        self.assertIn("p99 needs 200 iterations", text)
        self.assertEqual(len(text.split("Round uniform by rank")[1].split("\n\n")[0].splitlines()), 1 + 2 + 4)
        self.assertLessEqual(max(map(len, text.splitlines())), 120)
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["r.csv", "r.json"])

    def test_every_format(self):
        for name in ("bf16", "fp8", "fp8_pow2", "fp8_ue8m0"):
            with self.subTest(name):
                record = self.bench("--dispatch-format", name, "--imbalance-factors", 2)
                self.assertEqual(record["config"]["dispatch_format"], name)

    def test_the_wire_counts_what_a_variant_copies(self):
        for variants, basis in {
            (): {"dispatch": "selections", "combine": "selections"},
            ("dispatch=rank_major",): {"dispatch": "messages", "combine": "selections"},
            ("dispatch=dedup", "combine=prereduce"): {"dispatch": "messages", "combine": "messages"},
        }.items():
            flags = [word for variant in variants for word in ("--variant", variant)]
            record = self.bench("--backend", "cpu", "--imbalance-factors", 1, *flags)
            self.assertEqual(record["rounds"][0]["bandwidth"]["wire_basis"], basis)

    def test_uneven_and_empty_ranks(self):
        record = json.loads(self.succeed("bench", "--num-tokens-per-rank", "16,0,5,9", "--hidden", 128, "--num-experts", 16,
                                         "--num-topk", 2, "--num-masked", 0, "--iterations", 5, "--no-flush",
                                         "--imbalance-factors", 1.5, "--json", "-"))

        self.assertEqual(record["config"]["tokens_per_rank"], [16, 0, 5, 9])
        self.assertEqual(record["rounds"][2]["load"]["selections"][1], [0, 0, 0, 0])

    def test_a_recording_is_replayed_round_by_round(self):
        arguments = ("bench", "--no-flush", "--trace", DATA / "mixtral.jsonl", "--num-processes", "2", "--num-tokens", "1",
                     "--windows", "all", "--hidden", "128", "--iterations", "5", "--warmup", "1")

        record = json.loads(self.succeed(*arguments, "--json", "-"))

        self.assertEqual([r["label"] for r in record["rounds"]], ["uniform", "1.0", "layer 7"])
        replayed = record["rounds"][2]
        self.assertEqual(replayed["load"]["expert"]["loads"], [1, 1, 1, 1])
        self.assertEqual(replayed["load"]["selections"], [[1, 1], [1, 1]])
        self.assertIsNone(replayed["target_factor"])
        self.assertEqual(replayed["workload"]["distribution"], "trace")
        self.assertEqual(record["config"]["trace"], str(DATA / "mixtral.jsonl"))
        self.refuse("--imbalance-factors and --trace are both given", *arguments, "--imbalance-factors", "2")

    def test_a_count_trace_is_replayed_with_its_totals(self):
        trace = self.folder / "counts.csv"
        counts = [[9, 7, 5, 3, 3, 2, 2, 1], [4] * 8]
        lines = [f"{layer},{expert},{n}" for layer, row in enumerate(counts) for expert, n in enumerate(row)]
        trace.write_text("layer,expert,count\n" + "\n".join(lines) + "\n")

        record = json.loads(self.succeed("bench", "--trace", trace, "--num-processes", 4, "--num-tokens", 4, "--num-topk", 2,
                                         "--hidden", 128, "--iterations", 5, "--no-flush", "--json", "-"))

        self.assertIsNone(first_problem(record))
        self.assertEqual(record["config"]["trace"], str(trace))
        self.assertEqual([r["label"] for r in record["rounds"]], ["uniform", "1.0", "layer 0", "layer 1"])
        self.assertEqual([r["load"]["expert"]["loads"] for r in record["rounds"][2:]], counts)
        self.assertEqual(record["rounds"][2]["load"]["rank"]["factor"], 2)
        self.assertIsNotNone(record["rounds"][2]["cost_of_imbalance"])

    def test_mistakes_are_refused_before_anything_starts(self):
        before = shared_memory()
        for problem, arguments in {
            "--distribution bogus": ["--distribution", "bogus"],
            "factor 0.5": ["--imbalance-factors", "0.5"],
            "factor nan": ["--imbalance-factors", "nan"],
            "4.00": ["--imbalance-factors", "4.5"],
            "2.0 twice": ["--imbalance-factors", "2", "2"],
            "--num-experts 17": ["--num-experts", "17"],
            "--num-topk 17": ["--num-topk", "17"],
            "--hidden 100": ["--hidden", "100"],
            "GB (this machine has": ["--num-tokens", "2000000000"],
            "--backend bogus": ["--backend", "bogus"],
            "--dispatch-format int8": ["--dispatch-format", "int8"],
            "--iterations 0": ["--iterations", "0"],
            "--warmup -1": ["--warmup", "-1"],
            "--timeout 0": ["--timeout", "0"],
            "--timeout nan": ["--timeout", "nan"],
            "--micro-batches 0": ["--micro-batches", "0"],
            "--micro-batches 9": ["--micro-batches", "9"],
            "--variant direct": ["--variant", "direct"],
            "--variant a is given twice": ["--variant", "a=1", "--variant", "a=2"],
            "variant 'bogus'": ["--backend", "reference", "--variant", "bogus=1"],
            "standard output is asked for twice": ["--json", "-", "--csv", "-"],
            "--json": ["--json", self.folder / "no" / "r.json"],
            "it is a folder": ["--csv", self.folder],
            "nothing.csv": ["--trace", self.folder / "nothing.csv"],
        }.items():
            with self.subTest(problem):
                self.refuse(problem, *small(*arguments))
        self.assertEqual(shared_memory(), before)

    def test_a_killed_rank_ends_the_run_and_leaves_nothing(self):
        before = shared_memory()
        command = [os.environ["EPSKEW"], *map(str, small("--backend", "cpu", "--iterations", 1000000, "--json",
                                                            self.folder / "r.json"))]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as bench:
            deadline = time.monotonic() + 30
            while len(children_of(bench.pid)) < 4 and time.monotonic() < deadline:
                time.sleep(0.01)
            ranks = children_of(bench.pid)
            os.kill(ranks[1], signal.SIGKILL)
            message = bench.communicate(timeout=50)[1].decode()

        self.assertEqual(bench.returncode, 4, message)
        self.assertIn("rank", message)
        self.assertEqual(list(self.folder.iterdir()), [])
        self.assertEqual(shared_memory(), before)
        for rank in ranks:
            self.assertFalse(pathlib.Path(f"/proc/{rank}").exists())


if __name__ == "__main__":
    unittest.main()
