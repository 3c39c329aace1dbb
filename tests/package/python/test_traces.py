"""Recordings and fits: what the program makes of the same files."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import numpy as np

import epskew

DATA = pathlib.Path(__file__).resolve().parents[2] / "unit/trace/data"


def program(*arguments):
    return subprocess.run([os.environ["EPSKEW"], *map(str, arguments)], capture_output=True, text=True, timeout=120,
                          check=True).stdout


class TraceTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        random, share = np.random.default_rng(7), np.arange(1, 17) / 136
        ids = np.stack([random.choice(16, 4, replace=False, p=share) for _ in range(96)])
        self.ids = np.stack([ids, (ids + 3) % 16], axis=1)  # [tokens, layers, topk]
        self.file = self.folder / "recorded.npy"
        np.save(self.file, self.ids)

    def load(self, **more):
        return epskew.load_trace(self.file, npy="ids", num_experts=16, **more)


class Traces(TraceTest):
    def test_show_their_layers(self):
        trace = self.load()

        self.assertEqual((trace.format, trace.num_experts, trace.topk, len(trace.layers)), ("npy", 16, 4, 2))
        for number, layer in enumerate(trace.layers):
            np.testing.assert_array_equal(layer.topk_idx, self.ids[:, number])
            np.testing.assert_array_equal(layer.counts, np.bincount(self.ids[:, number].ravel(), minlength=16))
            self.assertEqual(layer.layer, number)
        self.assertIsNone(trace.layers[0].topk_weights)
        self.assertEqual([each.layer for each in self.load(layers=[1]).layers], [1])

    def test_replay_what_was_recorded(self):
        routings = self.load().replay(num_processes=4, num_tokens=8, windows="all")

        self.assertEqual([each.label for each in routings[:2]], ["layer 0 window 0", "layer 0 window 1"])
        self.assertEqual(len(routings), 6)
        np.testing.assert_array_equal(routings[1].topk_idx, self.ids[32:64, 0])
        self.assertEqual(routings[4].parameters, {"layer": 1, "window": 1})

    def test_replay_as_the_program_does(self):
        output = self.folder / "routing"
        program("gen", "--trace", self.file, "--npy", "ids", "--num-experts", 16, "--num-processes", 4, "--num-tokens", 8,
                "--layers", 1, "--windows", 1, "--deal", "round-robin", "-o", output)

        (routing,) = self.load(layers=[1]).replay(num_processes=4, num_tokens=8, windows=1, deal="round-robin")

        self.assertEqual(routing, epskew.Routing.load(output))
        routing.save(self.folder / "own")
        self.assertEqual((self.folder / "own").read_bytes(), output.read_bytes())

    def test_of_counts_are_realised_to_the_selection(self):
        counts = np.array([[8, 4, 4, 16, 8, 8, 8, 8]])
        trace = epskew.Trace.from_counts(counts, num_topk=2)

        (routing,) = trace.replay(num_processes=2, num_tokens=16)

        self.assertEqual((trace.format, trace.topk, trace.num_experts), ("counts", 2, 8))
        self.assertIsNone(trace.layers[0].topk_idx)
        np.testing.assert_array_equal(np.bincount(routing.topk_idx.ravel(), minlength=8), counts[0])

    def test_in_a_plan_give_its_rounds(self):
        plan = epskew.plan_bench(["--trace", str(self.file), "--npy", "ids", "--num-experts", "16", "--num-processes", "4",
                                  "--num-tokens", "8", "--hidden", "128"])
        replayed = self.load().replay(num_processes=4, num_tokens=8)

        self.assertEqual([each.label for each in plan.rounds], ["uniform", "1.0", "layer 0", "layer 1"])
        self.assertEqual([each.routing for each in plan.rounds[2:]], replayed)
        self.assertEqual((plan.trace, plan.distribution), (str(self.file), "trace"))

    def test_that_cannot_be_are_refused(self):
        refused = {
            "does not exist": lambda: epskew.load_trace(self.folder / "none"),
            "--npy colours": lambda: epskew.load_trace(self.file, npy="colours"),
            "layer 9|--layers": lambda: self.load(layers=[9]),
            "do not divide": lambda: self.load().replay(num_processes=3, num_tokens=1),
            "--deal up": lambda: self.load().replay(num_processes=4, num_tokens=1, deal="up"),
            "num_tokens_per_rank is empty": lambda: self.load().replay(num_processes=4, num_tokens_per_rank=[]),
            "--windows": lambda: self.load().replay(num_processes=4, num_tokens=1, windows=0),
            "never negative": lambda: epskew.Trace.from_counts([1, -1]),
            "counts have shape": lambda: epskew.Trace.from_counts(np.ones((2, 2, 2), int)),
            "whole numbers": lambda: epskew.Trace.from_counts([1.5, 2]),
        }
        for problem, call in refused.items():
            with self.subTest(problem=problem), self.assertRaisesRegex(epskew.UsageError, problem):
                call()


class Fits(TraceTest):
    def test_are_what_the_program_writes(self):
        written = self.folder / "fit.json"
        program("fit", self.file, "--npy", "ids", "--num-experts", 16, "--num-processes", 8, "--windows", 4, "--bootstrap",
                40, "--seed", 3, "--json", written)

        document = epskew.fit(self.load(), num_processes=[8], windows=[4], bootstrap=40, seed=3)

        expected = json.loads(written.read_text())
        for run in (document, expected):
            for key in ("argv", "created", "command"):
                run.pop(key, None)
        self.assertEqual(document, expected)

    def test_of_counts_need_no_file(self):
        loads = np.round(1000 * np.exp(0.8 * np.random.default_rng(1).standard_normal((3, 64)))).astype(int)

        document = epskew.fit(loads, levels=["expert"], windows=[], bootstrap=0)

        (level,) = document["levels"]
        self.assertEqual((level["places"], len(level["layers"])), (64, 3))
        factors = loads.max(axis=1) / loads.mean(axis=1)
        np.testing.assert_allclose([layer["factor"] for layer in level["layers"]], factors, rtol=1e-9)

    def test_wrong_options_are_refused(self):
        for keywords, problem in (({"levels": ["town"]}, "--level town"), ({"num_processes": [5]}, "5"),
                                  ({"levels": ["expert"], "num_processes": [4]}, "--num-processes"),
                                  ({"bootstrap": -1}, "bootstrap"), ({"placement": "/no/file"}, "/no/file")):
            with self.subTest(keywords=keywords), self.assertRaisesRegex(epskew.UsageError, problem):
                epskew.fit(self.load(), **keywords)


if __name__ == "__main__":
    unittest.main()
