"""Plans, recorders and results: what `epskew bench` would do, measured by somebody else."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import jsonschema
import numpy as np

import epskew

SMALL = {"--num-processes": "4", "--num-tokens": "8", "--num-experts": "16", "--num-topk": "2", "--num-masked": "0",
         "--hidden": "128", "--iterations": "20", "--passes": "2"}


def flags_of(*more):
    more = [str(each) for each in more]
    return [word for flag, value in SMALL.items() if flag not in more for word in (flag, value)] + more


def plan_of(*more):
    return epskew.plan_bench(flags_of(*more))


def times(visit, base, ranks=4):
    """[iterations, ranks]: rank r takes base + r in the first iteration, one more in each that follows."""
    return base + np.arange(ranks)[None, :] + np.arange(visit.iterations)[:, None]


def record(plan, base=lambda visit: 100.0 * (visit.round + 1), **more):
    recorder = epskew.Recorder(plan, backend="mine", facts=["mine: 1.2"], **more)
    for visit in plan.visits:
        recorder.add_visit(visit.round, {"dispatch_combine": times(visit, base(visit)), "dispatch": times(visit, 7.0)})
    return recorder


class Plans(unittest.TestCase):
    def test_hold_what_the_flags_say(self):
        plan = epskew.plan_bench([*flags_of(), "--imbalance-factors", "1,2.5", "--dispatch-format", "bf16", "--use-logfmt",
                                  "--variant", "hook=on", "--timeout", "2.5", "--no-flush", "--seed", "4", "--warmup", "3",
                                  "--json", "/dev/null"], command=["python", "-m", "epskew.bench"])

        self.assertEqual([(r.label, r.target_factor) for r in plan.rounds], [("uniform", None), ("1.0", 1.0), ("2.5", 2.5)])
        self.assertEqual(plan.rounds[2].routing.factor, 2.5)
        self.assertEqual(plan.rounds[2].routing,
                         epskew.routing(num_processes=4, num_tokens=8, num_experts=16, num_topk=2, num_masked=0,
                                        imbalance_factor=2.5, seed=4))
        self.assertEqual((plan.num_ranks, plan.num_experts, plan.topk, plan.hidden, plan.max_tokens), (4, 16, 2, 128, 8))
        self.assertEqual((plan.dispatch_format, plan.combine_format, plan.variants), ("bf16", "logfmt10", {"hook": "on"}))
        self.assertEqual((plan.iterations, plan.warmup, plan.passes, plan.seed), (20, 3, 2, 4))
        self.assertEqual((plan.timeout_s, plan.flush_cache, plan.backend, plan.trace), (2.5, False, None, None))
        self.assertEqual((plan.json, plan.csv, plan.html), ("/dev/null", None, None))
        self.assertEqual((plan.distribution, plan.imbalance_factors), ("lognormal", [1.0, 2.5]))
        self.assertEqual(plan.argv[:5], ["python", "-m", "epskew.bench", "--num-processes", "4"])

    def test_visits_share_the_iterations_and_end_in_the_order_of_the_rounds(self):
        plan = plan_of("--iterations", 7, "--passes", 3)

        for index in range(len(plan.rounds)):
            mine = [visit for visit in plan.visits if visit.round == index]
            self.assertEqual(sum(visit.iterations for visit in mine), 7)
            self.assertEqual([(v.turn, v.first, v.last) for v in mine],
                             [(0, True, False), (1, False, False), (2, False, True)])
        self.assertEqual([visit.round for visit in plan.visits if visit.last], list(range(len(plan.rounds))))

    def test_wrong_flags_are_refused(self):
        for flags, problem in ((["--nope"], "--nope"), (["--iterations", "0"], "--iterations 0 is out of range"),
                               (["--iterations", "many"], "--iterations"), (["--passes", "30"], "--passes 30"),
                               (["--imbalance-factors", "50"], "out of reach"), (["--hidden", "100"], "multiple of 128"),
                               (["--json", "/no/such/folder/x"], "--json"), (["--json", "-", "--csv", "-"], "twice"),
                               (["--trace", "/no/such/trace"], "does not exist"), (["--variant", "x"], "name=value")):
            with self.subTest(flags=flags), self.assertRaisesRegex(epskew.UsageError, problem):
                plan_of(*flags)

    def test_help_names_the_flags(self):
        text = epskew.bench_help()

        for flag in ("--imbalance-factors", "--trace", "--json", "--passes"):
            self.assertIn(flag, text)


class Recorders(unittest.TestCase):
    def test_reduce_as_bench_does(self):
        plan = plan_of("--imbalance-factors", "1,2")

        result = record(plan).finish().to_dict()

        self.assertEqual([each["label"] for each in result["rounds"]], ["uniform", "1.0", "2.0"])
        timing = result["rounds"][2]["timing"]["dispatch_combine"]
        slowest = [300.0 + 3 + i for i in range(10)] * 2
        self.assertEqual(timing["slowest_rank"]["p50"], float(np.percentile(slowest, 50)))
        self.assertEqual(timing["slowest_rank"]["mean"], np.mean(slowest))
        self.assertIsNone(timing["slowest_rank"]["p99"])
        self.assertEqual(timing["times_slowest"], [0, 0, 0, 20])
        self.assertEqual(len(timing["samples_us"]), 20)
        self.assertIsNone(result["rounds"][2]["timing"]["combine"])
        cost = result["rounds"][2]["cost_of_imbalance"]
        self.assertEqual((cost["reference"], cost["ratio"]), ("1.0", 307.5 / 207.5))
        self.assertEqual(result["rounds"][2]["workload"]["digest"], plan.rounds[2].routing.digest)
        self.assertEqual((result["config"]["backend"], result["config"]["backend_facts"]), ("mine", ["mine: 1.2"]))
        self.assertEqual((result["config"]["iterations"], result["config"]["passes"]), (20, 2))

    def test_say_who_measured_with_what(self):
        plan = plan_of("--imbalance-factors", "1", "--variant", "hook=on")
        recorder = epskew.Recorder(plan, backend="mine", clock="CUDA events", clock_resolution_ns=32.0,
                                   libraries={"deep": "1.2.1"}, gpu=["H200"], driver="580", variants={"own": "x"},
                                   num_devices=1)
        for visit in plan.visits:
            recorder.add_visit(visit.round, {"dispatch": times(visit, 5.0)}, misalignment_us=times(visit, 0.0),
                               kernel_us={"dispatch": [[1.0, 2, 3, 4]]}, memory_bytes=[10, 20, 30, 40], flush_bytes=99,
                               before="passed", after="passed" if visit.round else "rank 3 is wrong")

        result = recorder.finish().to_dict()

        self.assertEqual(result["config"]["clock"], {"source": "CUDA events", "resolution_ns": 32.0})
        self.assertEqual((result["gpu"], result["driver"], result["libraries"]["deep"]), (["H200"], "580", "1.2.1"))
        self.assertEqual((result["config"]["variants"], result["config"]["flush_bytes"]), ({"own": "x"}, 99))
        self.assertEqual(result["emulation"], {"num_devices": 1, "num_ranks": 4})
        first, second = result["rounds"]
        self.assertEqual(first["oracle"], {"before": "passed", "after": "rank 3 is wrong"})
        self.assertEqual(second["oracle"], {"before": "passed", "after": "passed"})
        self.assertEqual(second["memory"]["reserved_bytes"], [10, 20, 30, 40])
        self.assertEqual(second["kernel_timing"]["dispatch"]["samples_us"], [[1, 2, 3, 4]] * 2)
        self.assertEqual(len(second["misalignment"]["samples_us"]), 20)

    def test_what_nobody_checked_is_null_and_the_worst_of_the_visits_stands(self):
        plan = plan_of("--imbalance-factors", "1")
        cases = {(None, None): None, ("passed", None): None, (None, "passed"): None, ("passed", "passed"): "passed",
                 (None, "wrong"): "wrong", ("wrong", None): "wrong", ("wrong", "passed"): "wrong", ("one", "two"): "one"}
        for verdicts, expected in cases.items():
            with self.subTest(verdicts):
                recorder = epskew.Recorder(plan, backend="mine")
                for visit in plan.visits:
                    recorder.add_visit(visit.round, {"dispatch": times(visit, 1.0)}, before=verdicts[visit.turn])

                for each in recorder.finish().to_dict()["rounds"]:
                    self.assertEqual(each["oracle"], {"before": expected, "after": None})

    def test_phases_have_costs_where_the_whole_was_not_measured(self):
        plan = plan_of("--imbalance-factors", "1,2")
        recorder = epskew.Recorder(plan, backend="halves")
        for visit in plan.visits:
            recorder.add_visit(visit.round, {"dispatch_send": times(visit, 50.0 * (visit.round + 1))})

        result = recorder.finish()

        skewed = result.to_dict()["rounds"][2]
        self.assertIsNone(skewed["cost_of_imbalance"])
        self.assertEqual(skewed["phase_costs"]["dispatch_send"]["ratio"], 157.5 / 107.5)
        self.assertIn("1.47 [", result.tables())

    def test_describe_a_round_when_it_is_whole(self):
        plan = plan_of("--imbalance-factors", "1")
        recorder = epskew.Recorder(plan, backend="mine")
        for visit in plan.visits:
            with self.assertRaisesRegex(epskew.UsageError, "not complete"):
                recorder.describe_round(visit.round)
            recorder.add_visit(visit.round, {"dispatch_combine": times(visit, 100.0)})
            if visit.last:
                self.assertIn("p50 107.5 us", recorder.describe_round(visit.round))

    def test_refuse_what_is_no_visit_of_the_plan(self):
        plan = plan_of("--imbalance-factors", "1")
        visit = plan.visits[0]
        good = {"dispatch": times(visit, 1.0)}
        nan = times(visit, 1.0)
        nan[3, 2] = np.nan
        refused = {
            "is next": lambda r: r.add_visit(1 - visit.round, good),
            "is empty": lambda r: r.add_visit(visit.round, {}),
            "--phase walk is unknown": lambda r: r.add_visit(visit.round, {"walk": times(visit, 1.0)}),
            r"has shape \[10, 3\]": lambda r: r.add_visit(visit.round, {"dispatch": times(visit, 1.0, ranks=3)}),
            r"has shape \[9, 4\]": lambda r: r.add_visit(visit.round, {"dispatch": times(visit, 1.0)[1:]}),
            "holds nan": lambda r: r.add_visit(visit.round, {"dispatch": nan}),
            "holds -1": lambda r: r.add_visit(visit.round, {"dispatch": times(visit, -1.0)}),
            "memory_bytes has 1": lambda r: r.add_visit(visit.round, good, memory_bytes=[1]),
            "kernel_us of dispatch": lambda r: r.add_visit(visit.round, good, kernel_us={"dispatch": [[1.0]]}),
            "0 of 4 visits": lambda r: r.finish(),
        }
        for problem, call in refused.items():
            with self.subTest(problem=problem), self.assertRaisesRegex(epskew.UsageError, problem):
                call(epskew.Recorder(plan, backend="mine"))

    def test_refuse_other_phases_than_before_and_visits_beyond_the_last(self):
        plan = plan_of("--imbalance-factors", "1")
        recorder = epskew.Recorder(plan, backend="mine")
        for visit in plan.visits:
            if not visit.first:
                with self.assertRaisesRegex(epskew.UsageError, "other phases"):
                    recorder.add_visit(visit.round, {"combine": times(visit, 1.0)})
            recorder.add_visit(visit.round, {"dispatch": times(visit, 1.0)})
        with self.assertRaisesRegex(epskew.UsageError, "every visit"):
            recorder.add_visit(0, {"dispatch": times(plan.visits[0], 1.0)})
        recorder.finish()
        with self.assertRaisesRegex(epskew.UsageError, "is finished"):
            recorder.finish()


class Results(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.result = record(plan_of("--imbalance-factors", "1,2")).finish()

    def program(self, *arguments):
        result = subprocess.run([os.environ["EPSKEW"], *map(str, arguments)], capture_output=True, text=True, timeout=60,
                                check=False)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def test_are_read_by_the_program(self):
        file, slower = self.folder / "a.json", self.folder / "b.json"
        self.result.save(file)
        plan = plan_of("--imbalance-factors", "1,2")
        other = record(plan, base=lambda visit: 200.0 * (visit.round + 1)).finish()
        other.save(slower)

        page, table = self.folder / "page.html", self.program("compare", file, slower)
        self.program("report", file, slower, "-o", page)

        mine = epskew.compare(("a", self.result), ("b", other))
        self.assertIn("B slower", table)
        self.assertIn("B slower", mine.table())
        self.assertEqual(json.loads(mine.json()), mine.to_dict())
        self.assertEqual(page.read_text(), epskew.report_page([("a", self.result), ("b", other)]))

    def test_render_as_the_program_does(self):
        again = epskew.Result.from_json(self.result.json())

        self.assertEqual(again.json(), self.result.json())
        self.assertEqual(again.tables(), self.result.tables())
        self.assertIn("dispatch+combine (us)", self.result.tables())
        self.assertIn("backend mine, 4 ranks", self.result.describe_run())
        self.assertEqual(len(self.result.csv().splitlines()), 1 + 3 * 2)
        self.assertTrue(self.result.html().startswith("<!doctype html>"))

    def test_fit_the_schema(self):
        schema = pathlib.Path(__file__).resolve().parents[3] / "schema/result.schema.json"

        jsonschema.validate(self.result.to_dict(), json.loads(schema.read_text()))

    def test_of_other_routing_are_not_compared(self):
        other = record(plan_of("--imbalance-factors", "1,2", "--seed", 1)).finish()

        with self.assertRaisesRegex(epskew.UsageError, "routing"):
            epskew.compare(("a", self.result), ("b", other))
        epskew.compare(("a", self.result), ("b", other), allow_different_routing=True)
        with self.assertRaisesRegex(epskew.UsageError, "--phase no is unknown"):
            epskew.compare(("a", self.result), ("b", self.result), phases=["no"])

    def test_that_are_none_are_refused(self):
        with self.assertRaisesRegex(epskew.UsageError, "schema_version"):
            epskew.Result.from_json("{}")
        with self.assertRaises(epskew.UsageError):
            epskew.Result.load(self.folder / "none.json")
        with self.assertRaises(epskew.UsageError):
            self.result.save("-")


class Files(unittest.TestCase):
    def test_are_written_whole_or_not_at_all(self):
        with tempfile.TemporaryDirectory() as folder:
            target = pathlib.Path(folder) / "a.json"
            epskew.write_file("--json", target, "one")
            epskew.write_file("--json", target, "two")

            self.assertEqual(target.read_text(), "two")
            self.assertEqual(os.listdir(folder), ["a.json"])

    def test_a_device_stays_one(self):
        epskew.write_file("--json", "/dev/null", "nothing")

        self.assertTrue(pathlib.Path("/dev/null").is_char_device())
        with self.assertRaises(epskew.EnvironmentFailure):
            epskew.write_file("--json", "/dev/full", "nothing")

    def test_what_is_no_place_is_refused_by_its_flag(self):
        for place in ("-", "", "/", "/no/such/folder/a.json"):
            with self.subTest(place), self.assertRaisesRegex(epskew.UsageError, "^--csv "):
                epskew.write_file("--csv", place, "text")


class OwnExchange(unittest.TestCase):
    def test_runs_the_plan(self):
        for backend in ("cpu", "reference"):
            with self.subTest(backend=backend):
                plan = plan_of("--imbalance-factors", "1,2", "--iterations", 4, "--passes", 1)
                lines = []

                result = epskew.run_bench(plan, backend=backend, on_round=lines.append)

                document = result.to_dict()
                self.assertEqual(document["config"]["backend"], backend)
                self.assertEqual([line.split()[0] for line in lines], ["uniform", "1.0", "2.0"])
                for planned, measured in zip(plan.rounds, document["rounds"]):
                    self.assertEqual(measured["workload"]["digest"], planned.routing.digest)
                    self.assertEqual(measured["oracle"], {"before": "passed", "after": "passed"})
                    self.assertEqual(len(measured["timing"]["dispatch_combine"]["samples_us"]), 4)

    def test_takes_the_backend_of_the_plan(self):
        plan = plan_of("--imbalance-factors", "1", "--iterations", 2, "--passes", 1, "--backend", "reference")

        self.assertEqual(epskew.run_bench(plan).to_dict()["config"]["backend"], "reference")

    def test_an_unknown_or_unusable_backend_is_refused(self):
        with self.assertRaisesRegex(epskew.UsageError, "--backend warp is unknown"):
            epskew.run_bench(plan_of(), backend="warp")
        unusable = [each for each in epskew.backends() if each.unusable]
        self.assertTrue(unusable)
        for backend in unusable:
            with self.subTest(backend=backend.name), self.assertRaises(epskew.UsageError):
                epskew.run_bench(plan_of(), backend=backend.name)

    def test_what_a_callback_raises_comes_through(self):
        def refuse(_):
            raise KeyError("enough")

        with self.assertRaisesRegex(KeyError, "enough"):
            epskew.run_bench(plan_of("--iterations", 2, "--passes", 1), backend="reference", on_round=refuse)


if __name__ == "__main__":
    unittest.main()
