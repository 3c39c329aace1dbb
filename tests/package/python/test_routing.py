"""Routing from Python: the same as `epskew gen`, exact, immutable, and refused with the same words."""

import gc
import json
import os
import pathlib
import re
import struct
import subprocess
import tempfile
import unittest

import numpy as np

import epskew

try:
    import torch
except ImportError:
    torch = None


def gen(folder, *flags):
    """(routing, what was printed) of the program."""
    file = pathlib.Path(folder) / "routing.safetensors"
    result = subprocess.run([os.environ["EPSKEW"], "gen", *map(str, flags), "-o", str(file)], capture_output=True,
                            text=True, timeout=60, check=True)
    return epskew.Routing.load(file), result.stdout, file.read_bytes()


class Generated(unittest.TestCase):
    def test_is_what_gen_makes_of_the_same_flags(self):
        cases = (
            ({}, []),
            ({"imbalance_factor": 3.0, "seed": 5}, ["--imbalance-factor", 3, "--seed", 5]),
            ({"model": "qwen3-235b", "imbalance_factor": 2.5, "distribution": "gamma", "num_tokens": 32},
             ["--model", "qwen3-235b", "--imbalance-factor", 2.5, "--distribution", "gamma", "--num-tokens", 32]),
            ({"num_processes": 4, "num_tokens_per_rank": [3, 0, 7, 9], "num_experts": 16, "num_topk": 2, "num_masked": 1,
              "pattern": "hot-rank", "imbalance_factor": 1.5, "hot_rank": 2},
             ["--num-processes", 4, "--num-tokens-per-rank", "3,0,7,9", "--num-experts", 16, "--num-topk", 2,
              "--num-masked", 1, "--pattern", "hot-rank", "--imbalance-factor", 1.5, "--hot-rank", 2]),
            ({"imbalance_factor": 1.5, "imbalance_level": "node", "ranks_per_node": 4, "num_tokens": 16},
             ["--imbalance-factor", 1.5, "--imbalance-level", "node", "--ranks-per-node", 4, "--num-tokens", 16]),
        )
        for keywords, flags in cases:
            with self.subTest(flags=flags), tempfile.TemporaryDirectory() as folder:
                routing = epskew.routing(**keywords)
                written, printed, data = gen(folder, *flags)

                self.assertEqual(routing, written)
                self.assertIn("digest " + routing.digest, printed)
                self.assertEqual(routing.distribution, written.distribution)
                self.assertAlmostEqual(routing.feasible_max, written.feasible_max)
                own = pathlib.Path(folder) / "own.safetensors"
                routing.save(own)
                self.assertEqual(own.read_bytes(), data)

    def test_the_hot_rank_has_exactly_its_load(self):
        routing = epskew.routing(imbalance_factor=2.75, num_masked=7)
        ids = routing.topk_idx[routing.topk_idx >= 0]

        loads = np.bincount(ids // routing.experts_per_rank, minlength=routing.num_ranks)

        mean = (routing.topk_idx.size - 7 * 8) / 8
        self.assertEqual(len(ids), 8 * mean)
        self.assertEqual(loads.max(), round(2.75 * mean))
        self.assertEqual(loads.argmax(), routing.hot_rank)
        self.assertEqual(routing.factor, loads.max() / mean)
        self.assertEqual(routing.metrics()["rank"]["loads"], loads.tolist())

    def test_shape_and_facts(self):
        routing = epskew.routing(num_processes=2, num_tokens_per_rank=[5, 3], num_experts=8, num_topk=3, seed=9)

        self.assertEqual((routing.num_ranks, routing.num_experts, routing.experts_per_rank, routing.topk), (2, 8, 4, 3))
        self.assertEqual((routing.num_tokens, routing.max_tokens, routing.tokens_per_rank), (8, 5, [5, 3]))
        self.assertEqual((routing.distribution, routing.label, routing.seed), ("uniform", "uniform", 9))
        np.testing.assert_array_equal(routing.rank(1).topk_idx, routing.topk_idx[5:])
        np.testing.assert_array_equal(routing.rank(1).topk_weights, routing.topk_weights[5:])
        with self.assertRaises(IndexError):
            routing.rank(2)

    def test_wrong_flags_have_the_words_of_the_command_line(self):
        refused = (
            ({"num_experts": 7}, ["--num-experts", 7]),
            ({"imbalance_factor": 99}, ["--imbalance-factor", 99]),
            ({"imbalance_factor": 0.5}, ["--imbalance-factor", 0.5]),
            ({"model": "no-such"}, ["--model", "no-such"]),
            ({"distribution": "cauchy"}, ["--distribution", "cauchy"]),
            ({"num_topk": 300}, ["--num-topk", 300]),
            ({"num_masked": -1}, ["--num-masked", -1]),
            ({"num_tokens": 3, "num_tokens_per_rank": [1, 2]}, ["--num-tokens", 3, "--num-tokens-per-rank", "1,2"]),
            ({"placement": "spread"}, ["--placement", "spread"]),
            ({"seed": -1}, ["--seed", -1]),
        )
        for keywords, flags in refused:
            with self.subTest(keywords=keywords):
                program = subprocess.run([os.environ["EPSKEW"], "gen", *map(str, flags), "-o", "/dev/null"],
                                         capture_output=True, text=True, timeout=60, check=False)

                with self.assertRaises(epskew.UsageError) as caught:
                    epskew.routing(**keywords)

                self.assertEqual(program.returncode, 2)
                self.assertEqual("epskew: " + str(caught.exception) + "\n", program.stderr)
        self.assertTrue(issubclass(epskew.UsageError, ValueError))

    def test_every_keyword_is_the_flag_of_its_name(self):
        # -7 is wrong everywhere and 'no such' too, or without effect, which is refused; every flag has words of its own.
        keywords = re.findall(r"(\w+): ([^=]+) = ", epskew.routing.__nb_signature__[0][0])
        self.assertGreater(len(keywords), 20)
        for name, kind in keywords:
            if "Sequence" in kind:
                value, text = [-7], "-7"
            else:
                value = text = -7 if "int" in kind or "float" in kind or name == "seed" else "no such"
            with self.subTest(name):
                flag = "--" + name.replace("_", "-")
                program = subprocess.run([os.environ["EPSKEW"], "gen", f"{flag}={text}", "-o", "/dev/null"],
                                         capture_output=True, text=True, timeout=60, check=False)

                with self.assertRaises(epskew.UsageError) as caught:
                    epskew.routing(**{name: value})

                self.assertEqual("epskew: " + str(caught.exception) + "\n", program.stderr)

    def test_no_tokens_of_any_rank_are_not_the_default(self):
        with self.assertRaisesRegex(epskew.UsageError, "num_tokens_per_rank is empty"):
            epskew.routing(num_tokens_per_rank=[])


class Views(unittest.TestCase):
    def test_are_read_only_and_outlive_the_routing(self):
        routing = epskew.routing(num_tokens=4)
        ids, weights, mine = routing.topk_idx, routing.topk_weights, routing.rank(1).topk_idx
        expected = ids.copy()

        self.assertEqual((ids.dtype, weights.dtype, ids.shape), (np.int64, np.float32, (32, 8)))
        self.assertTrue(np.shares_memory(ids, mine))
        self.assertTrue(np.shares_memory(ids, routing.topk_idx))
        for view in (ids, weights, mine):
            self.assertFalse(view.flags.writeable)
        del routing
        gc.collect()
        np.testing.assert_array_equal(ids, expected)

    def test_of_ranks_without_tokens_are_empty(self):
        routing = epskew.routing(num_processes=2, num_tokens_per_rank=[0, 3], num_experts=8, num_topk=3)

        self.assertEqual(routing.rank(0).topk_idx.shape, (0, 3))

    @unittest.skipIf(torch is None, "torch is not installed")
    def test_torch_tensors_share_memory_and_leave_the_routing_alone(self):
        routing = epskew.routing(num_tokens=4, imbalance_factor=2)
        before = routing.digest
        ids, weights = routing.torch()
        mine, _ = routing.torch(rank=2)

        self.assertEqual((ids.dtype, weights.dtype), (torch.int64, torch.float32))
        self.assertEqual(ids.data_ptr(), routing.topk_idx.ctypes.data)
        np.testing.assert_array_equal(mine.numpy(), routing.rank(2).topk_idx)
        weights[0, 0] = 5.0
        ids[0, 0] = 1 - ids[0, 0]
        self.assertEqual(routing.digest, before)


class GivenArrays(unittest.TestCase):
    IDS = np.array([[[0, 3], [1, -1]], [[2, 0], [-1, -1]]])

    def test_become_a_routing(self):
        routing = epskew.Routing.from_arrays(self.IDS, num_experts=4)

        self.assertEqual((routing.num_ranks, routing.tokens_per_rank, routing.topk), (2, [2, 2], 2))
        np.testing.assert_array_equal(routing.topk_idx, self.IDS.reshape(4, 2))
        np.testing.assert_array_equal(routing.topk_weights, [[0.5, 0.5], [0.5, 0], [0.5, 0.5], [0, 0]])
        self.assertEqual(routing.metrics()["rank"]["loads"], [3, 2])
        self.assertEqual(routing.feasible_max, 5 * 2 / 5)
        self.assertEqual(routing, epskew.Routing.from_arrays(self.IDS.reshape(4, 2).tolist(), num_experts=4, num_ranks=2))

    def test_of_ranks_with_different_numbers_of_tokens(self):
        padded = epskew.Routing.from_arrays(self.IDS, num_experts=4, tokens_per_rank=[2, 1])
        flat = epskew.Routing.from_arrays(self.IDS.reshape(4, 2)[:3], num_experts=4, tokens_per_rank=[2, 1])

        self.assertEqual(padded, flat)
        self.assertEqual(padded.tokens_per_rank, [2, 1])
        self.assertNotEqual(padded, epskew.Routing.from_arrays(self.IDS, num_experts=4))

    def test_give_back_a_generated_routing(self):
        routing = epskew.routing(imbalance_factor=2, num_tokens=16)

        again = epskew.Routing.from_arrays(routing.topk_idx, routing.topk_weights, num_experts=288, num_ranks=8)

        self.assertEqual((again, again.digest, hash(again)), (routing, routing.digest, hash(routing)))

    def test_metrics_need_no_routing(self):
        metrics = epskew.metrics(self.IDS, 4)

        self.assertEqual(metrics["rank"]["factor"], 3 / 2.5)
        self.assertEqual(metrics["expert"]["loads"], [2, 1, 1, 1])
        self.assertEqual(metrics["message"]["loads"], [3, 2])
        self.assertEqual(metrics["selections"], [[2, 1], [1, 1]])

    def test_that_make_no_routing_are_refused(self):
        make = epskew.Routing.from_arrays
        flat = self.IDS.reshape(4, 2)
        refused = {
            "give num_ranks or tokens_per_rank": lambda: make(flat, num_experts=4),
            "do not divide among 3 ranks": lambda: make(flat, num_experts=6, num_ranks=3),
            "num_experts 5 does not divide": lambda: make(flat, num_experts=5, num_ranks=2),
            "adds up to 3": lambda: make(flat, num_experts=4, tokens_per_rank=[1, 2]),
            "has a negative number": lambda: make(flat, num_experts=4, tokens_per_rank=[5, -1]),
            "has 1 numbers": lambda: make(flat, num_experts=4, num_ranks=2, tokens_per_rank=[4]),
            r"give 2 or less|rows a rank": lambda: make(self.IDS, num_experts=4, tokens_per_rank=[2, 3]),
            "num_ranks is 3": lambda: make(self.IDS, num_experts=6, num_ranks=3),
            r"shape \[4\]": lambda: make([1, 2, 3, 0], num_experts=4, num_ranks=2),
            "dtype float64": lambda: make(flat * 1.0, num_experts=4, num_ranks=2),
            "32-bit": lambda: make(flat + 2**40, num_experts=4, num_ranks=2),
            "topk_idx": lambda: make(flat + 3, num_experts=4, num_ranks=2),
            "a second time": lambda: make([[1, 1], [0, 1]], num_experts=4, num_ranks=2),
            "topk_weights has shape": lambda: make(flat, np.ones((4, 3)), num_experts=4, num_ranks=2),
        }
        for problem, call in refused.items():
            with self.subTest(problem=problem), self.assertRaisesRegex(epskew.UsageError, problem):
                call()


class Files(unittest.TestCase):
    def test_are_safetensors_that_anyone_reads(self):
        routing = epskew.routing(num_processes=2, num_tokens_per_rank=[3, 2], num_experts=8, num_topk=2, num_masked=1)
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "routing.safetensors"
            routing.save(file)
            data = file.read_bytes()
            again = epskew.Routing.load(str(file))

        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8:8 + length])
        begin, end = header["topk_idx"]["data_offsets"]
        ids = np.frombuffer(data[8 + length + begin:8 + length + end], "<i8").reshape(header["topk_idx"]["shape"])
        np.testing.assert_array_equal(ids[0], routing.rank(0).topk_idx)
        np.testing.assert_array_equal(ids[1, :2], routing.rank(1).topk_idx)
        self.assertEqual(header["__metadata__"]["digest"], routing.digest)
        self.assertEqual((again, again.distribution, again.seed), (routing, "uniform", 0))

    def test_that_are_none_are_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            bad = pathlib.Path(folder) / "bad"
            bad.write_bytes(b"no routing")
            whole = pathlib.Path(folder) / "whole"
            epskew.routing(num_tokens=1).save(whole)
            data, spec = whole.read_bytes(), pathlib.Path(folder) / "spec"
            spec.write_bytes(data.replace(b'feasible_max\\":', b'feasible_max\\"@'))
            self.assertNotEqual(spec.read_bytes(), data)
            with self.assertRaisesRegex(epskew.UsageError, "damaged spec"):
                epskew.Routing.load(spec)
            for call in (lambda: epskew.Routing.load(bad), lambda: epskew.Routing.load(folder + "/none"),
                         lambda: epskew.routing(num_tokens=1).save(folder), lambda: epskew.routing(num_tokens=1).save("-")):
                with self.assertRaises(epskew.UsageError):
                    call()
        with self.assertRaises(TypeError):
            epskew.Routing.load(3)


if __name__ == "__main__":
    unittest.main()
