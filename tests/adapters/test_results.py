"""Runs that succeed: what they check, print and write."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import jsonschema
import runner

import epskew

HALVES = ["dispatch_send", "dispatch_recv", "combine_send", "combine_recv"]
PHASES = HALVES + ["dispatch", "combine", "dispatch_combine"]
LABELS = ["uniform", "1.0", "1.5"]


class ResultsTest(runner.RunnerTest):
    def check_record(self, record, adapter, ranks, phases):
        schema = json.loads((runner.ROOT / "schema" / "result.schema.json").read_text(encoding="utf-8"))
        jsonschema.validate(record, schema)
        self.assertEqual(record["config"]["backend"], adapter)
        self.assertEqual([entry["label"] for entry in record["rounds"]], LABELS)
        for entry in record["rounds"]:
            self.assertEqual(entry["oracle"], {"before": "passed", "after": "passed"})
            measured = [phase for phase, timing in entry["timing"].items() if timing is not None]
            self.assertEqual(sorted(measured), sorted(phases))
            for phase in phases:
                matrix = entry["timing"][phase]["samples_us"]
                self.assertEqual((len(matrix), len(matrix[0])), (6, ranks), phase)
                self.assertTrue(all(us > 0 for row in matrix for us in row), phase)

    def test_torch_at_two_ranks_in_fp8(self):
        result, record = self.record("--adapter", "torch", "--num-processes", "2", "--device", "cpu")

        self.check_record(record, "torch", 2, PHASES)
        self.assertIn("slowest rank", result.stdout)
        self.assertIn("What imbalance costs", result.stdout)
        self.assertEqual(record["argv"][:5], ["python", "-m", "epskew.bench", "--adapter", "torch"])

    def test_torch_at_four_ranks_in_bf16_beside_our_own_exchange(self):
        shape = ["--num-processes", "4", "--device", "cpu", "--dispatch-format", "bf16"]
        _, theirs = self.record("--adapter", "torch", *shape)
        _, ours = self.record("--adapter", "epskew", *shape)

        self.check_record(theirs, "torch", 4, PHASES)
        self.check_record(ours, "epskew", 4, PHASES)
        for one, other in zip(theirs["rounds"], ours["rounds"]):
            self.assertEqual(one["workload"]["digest"], other["workload"]["digest"])
            self.assertGreater(min(other["memory"]["reserved_bytes"]), 0)
        named = [(name, epskew.Result.from_json(json.dumps(record))) for name, record in (("a", theirs), ("b", ours))]
        self.assertEqual(len(epskew.compare(*named).to_dict()["phases"]), 9)
        self.assertIn("epskew", epskew.report_page(named))

    def test_every_fp8_rule_and_variants_of_our_exchange(self):
        for options in (["fp8_pow2"], ["fp8_ue8m0", "--variant", "dispatch=dedup"], ["fp8", "--use-logfmt"]):
            self.expect(0, "--adapter", "epskew", "--device", "cpu", "--num-processes", "2", "--modes", "fused",
                        "--dispatch-format", *options)

    def test_modes_choose_what_is_timed(self):
        _, record = self.record("--adapter", "torch", "--num-processes", "2", "--device", "cpu", "--modes", "split",
                                "--dispatch-format", "fp8_pow2")

        self.check_record(record, "torch", 2, HALVES)

    def test_a_rank_that_receives_nothing_takes_part(self):
        _, record = self.record("--adapter", "torch", "--device", "cpu", "--num-processes", "2", "--num-tokens", "4",
                                "--num-topk", "2", "--num-experts", "8", "--hidden", "128", "--num-masked", "0",
                                "--iterations", "2", "--imbalance-factors", "2", small=False)

        self.assertEqual(record["rounds"][-1]["load"]["rank"]["loads"].count(0), 1)

    def test_result_on_standard_output_is_nothing_else(self):
        result = self.expect(0, "--adapter", "torch", "--num-processes", "2", "--device", "cpu", "--modes", "pair",
                             "--json", "-")

        self.assertEqual(json.loads(result.stdout)["config"]["num_ranks"], 2)
        self.assertIn("slowest rank", result.stderr)

    def test_writes_into_a_pipe_and_through_a_link_and_leaves_both_what_they_are(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            pipe, link, target = folder / "pipe", folder / "link", folder / "target.html"
            os.mkfifo(pipe)
            link.symlink_to(target.name)
            reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, text=True)
            self.addCleanup(reader.kill)

            self.expect(0, "--adapter", "torch", "--num-processes", "2", "--device", "cpu", "--modes", "pair", "--json",
                        str(pipe), "--html", str(link))

            self.assertTrue(pipe.is_fifo())
            self.assertEqual(json.loads(reader.communicate(timeout=runner.LIMIT_S)[0])["config"]["backend"], "torch")
            self.assertTrue(link.is_symlink())
            self.assertTrue(target.read_text(encoding="utf-8").startswith("<!doctype html>"))
            self.assertEqual(len(list(folder.iterdir())), 3)

    def test_replays_a_routing_file(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "routing.safetensors"
            made = epskew.routing(num_processes=2, num_tokens=8, num_topk=3, num_experts=16, imbalance_factor=1.25)
            made.save(file)
            result, record = self.record("--adapter", "torch", "--device", "cpu", "--num-processes", "2", "--hidden", "256",
                                         "--num-tokens", "8", "--num-experts", "16", "--num-topk", "3", "--iterations", "2",
                                         "--modes", "pair", "--trace", str(file), small=False)

        digests = [entry["workload"]["digest"] for entry in record["rounds"]]
        self.assertIn(made.digest, digests, result.stdout)


if __name__ == "__main__":
    unittest.main()
