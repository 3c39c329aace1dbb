"""Parts of the runner and of the adapters that need no processes of their own."""

import argparse
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

import numpy as np
import torch

import epskew
import runner
sys.path.append(str(runner.ROOT / "tests" / "package" / "python"))
import exchange as deliveries
from epskew.adapters import Job, deepep_test, find_adapter
from epskew.adapters.bits import bf16_bits, bf16_tensor
from epskew.adapters.deepep import DeepEpAdapter
from epskew.adapters.deepep_v2 import DeepEpV2Adapter, weighted
from epskew.adapters.fp8 import _scales_of, has_float8, quantise
from epskew.bench import flags, job, rank
from epskew.bench.board import Board, Limits
from epskew.bench.job import make_task
from epskew.bench.place import Place

TORCH = ["--adapter", "torch", "--device", "cpu", "--num-processes", "2"]


class UsageTest(unittest.TestCase):
    def refused(self, *arguments):
        with self.assertRaises(epskew.UsageError) as caught:
            make_task([*arguments, *runner.SMALL])
        return str(caught.exception)

    def test_what_is_refused_and_why(self):
        cases = {
            "--adapter is missing": [],
            "--adapter nothing is unknown": ["--adapter", "nothing"],
            "cannot be loaded": ["--adapter", "no.such:Thing"],
            "is no adapter": ["--adapter", "os:PathLike"],
            "--variant speed is unknown to --adapter torch": [*TORCH, "--variant", "speed=9"],
            "--modes quick is unknown": [*TORCH, "--modes", "quick"],
            "--backend cpu and --adapter are both given": [*TORCH, "--backend", "cpu"],
            "drop --use-logfmt": [*TORCH, "--use-logfmt"],
            "--micro-batches 2 is not for --adapter": [*TORCH, "--micro-batches", "2"],
            "--setup-timeout -1.0 is not a time": [*TORCH, "--setup-timeout", "-1"],
            "--no-such-flag": [*TORCH, "--no-such-flag"],
        }
        for expected, arguments in cases.items():
            with self.subTest(expected):
                self.assertIn(expected, self.refused(*arguments))

    @unittest.skipIf(torch.cuda.is_available(), "this machine has a GPU")
    def test_libraries_for_gpus_say_that_they_are_not_run(self):
        for name in ("deepep", "deepep-v2"):
            self.assertIn(f"--adapter {name} is not run (no CUDA device", self.refused("--adapter", name))
        self.assertIn("--device cuda is not available", self.refused("--adapter", "torch", "--device", "cuda"))

    def test_the_user_is_told_with_exit_code_2_and_nothing_is_started(self):
        result = runner.run("--adapter", "torch", "--modes", "quick")

        self.assertEqual(result.returncode, 2)
        self.assertEqual(result.stdout, "")
        self.assertIn("epskew: --modes quick is unknown", result.stderr)

    def test_help_has_our_flags_and_those_of_bench(self):
        text = flags.help_text()

        for flag in ("--adapter", "--modes", "--setup-timeout", "--imbalance-factors", "--trace"):
            self.assertIn(flag, text)


class DeepEpJobTest(unittest.TestCase):
    def job(self, **changes):
        usual = dict(num_ranks=8, num_experts=256, topk=8, hidden=7168, max_tokens=128, dispatch_format="fp8",
                     combine_format="bf16", device="cuda")
        return Job(**(usual | changes))

    def test_default_shape_is_supported_in_all_modes(self):
        self.assertIsNone(DeepEpAdapter.unsupported(self.job()))
        self.assertEqual(DeepEpAdapter.modes(self.job()), ("pair", "fused", "split"))

    def test_zero_copy_results_cannot_lie_there_before_the_dispatch(self):
        self.assertEqual(DeepEpAdapter.modes(self.job(variants={"zero_copy": "on"})), ("fused", "split"))

    def test_ranks_that_share_a_gpu_run_halves_only(self):
        self.assertEqual(DeepEpAdapter.modes(self.job(ranks_per_device=8)), ("split",))

    def test_what_the_library_would_abort_on_is_refused(self):
        cases = {"multiple of 512": {"hidden": 640}, "multiple of 4": {"num_ranks": 1, "max_tokens": 2}, "top-11": {"topk": 12},
                 "GPUs only": {"device": "cpu"},
                 "exclude each other": {"combine_format": "logfmt10", "variants": {"zero_copy": "on"}},
                 "neither on nor off": {"variants": {"zero_copy": "yes"}}}
        for expected, change in cases.items():
            self.assertIn(expected, DeepEpAdapter.unsupported(self.job(**change)))


    def test_what_v2_would_not_compile_or_carry_is_refused(self):
        cases = {"at most 32": {"topk": 33}, "one rank a GPU": {"ranks_per_device": 2}, "drop --use-logfmt": {"combine_format":
                 "logfmt10"}, "GPUs only": {"device": "cpu"}, "sms is a number": {"variants": {"sms": "all"}}}
        for expected, change in cases.items():
            self.assertIn(expected, DeepEpV2Adapter.unsupported(self.job(dispatch_format="bf16", **change)))
        self.assertIsNone(DeepEpV2Adapter.unsupported(self.job(dispatch_format="bf16")))


class DeepEpResultsTest(unittest.TestCase):
    def adapter(self, dispatch):
        """After a dispatch that delivered what is right, to rank 1 of 4, in the library's layout."""
        routing = epskew.routing(num_processes=4, num_tokens=12, num_experts=16, num_topk=4, imbalance_factor=2.0)
        exchange = deliveries.Exchange(routing, 512, dispatch=dispatch, data="random")
        got = exchange.deliveries[1]
        adapter = DeepEpAdapter()
        adapter.job = Job(4, 16, 4, 512, 12, dispatch, "bf16", "cuda")
        adapter.fp8, adapter.zero_copy = dispatch != "bf16", False
        adapter.results = torch.zeros(4, 48, 512, dtype=torch.bfloat16)
        adapter.count = torch.from_numpy(got.counts)
        adapter.handle = torch.from_numpy(got.tokens), torch.from_numpy(got.begin << 32 | got.count)
        adapter.received_x = bf16_tensor(got.rows) if dispatch == "bf16" else (
            torch.from_numpy(got.rows).view(getattr(torch, "float8_e4m3fn", torch.uint8)), self.packed(torch.from_numpy(got.scales)))
        return exchange.oracle, adapter

    @staticmethod
    def packed(scales):
        return scales.view(torch.int32) if scales.dtype == torch.uint8 else scales

    def test_on_the_device_experts_make_what_the_oracle_makes(self):
        self.check_experts("bf16")

    @unittest.skipUnless(has_float8(), "this torch has no float8: rows in FP8 are not tested")
    def test_on_the_device_experts_make_it_of_rows_in_fp8_too(self):
        for dispatch in ("fp8", "fp8_ue8m0"):
            with self.subTest(dispatch):
                self.check_experts(dispatch)

    def test_a_rank_that_received_nothing_has_no_results(self):
        for dispatch in ("bf16", "fp8", "fp8_ue8m0"):
            with self.subTest(dispatch):
                oracle, adapter = self.adapter(dispatch)
                adapter.count = torch.zeros_like(adapter.count)
                adapter.handle = adapter.handle[0], torch.zeros_like(adapter.handle[1])

                results = adapter.experts_on_device(torch.tensor(oracle.expert_factors(1)))

                self.assertEqual(int(results.count_nonzero()), 0)

    def check_experts(self, dispatch):
        oracle, adapter = self.adapter(dispatch)
        received = adapter.received()
        self.assertTrue(oracle.check_dispatch(1, received), oracle.check_dispatch(1, received).message)
        from_host = adapter.experts(oracle.expert_output(1, received)).clone()
        adapter.results.zero_()

        on_device = adapter.experts_on_device(torch.tensor(oracle.expert_factors(1)))

        self.assertTrue(torch.equal(on_device, from_host))
        self.assertTrue(from_host.any())


class DeepEpV2ResultsTest(unittest.TestCase):
    """What its experts and a library that sums their products in float32 make of a right dispatch."""

    HIDDEN = 512

    def exchange(self, data):
        routing = epskew.routing(num_processes=4, num_tokens=64, num_experts=16, num_topk=8, imbalance_factor=1.5)
        exchange = deliveries.Exchange(routing, self.HIDDEN, dispatch="bf16", data=data)
        exchange.oracle = epskew.Oracle(routing, self.HIDDEN, dispatch="bf16", data=data, seed=3,
                                        rounding=DeepEpV2Adapter.rounding)
        return exchange

    def combined(self, exchange, rank):
        """Of one rank's tokens; the sum begins with the last selection."""
        given = exchange.oracle.input(rank)
        sums = torch.zeros(given.x.shape, dtype=torch.float32)
        for delivery, here in reversed(list(zip(exchange.deliveries, range(4)))):
            outputs = exchange.oracle.expert_output(here, delivery.received())
            for expert in reversed(range(4)):
                begin, count = delivery.begin[expert, rank], delivery.count[expert, rank]
                token = torch.from_numpy(delivery.tokens[expert, begin : begin + count].astype(np.int64))
                slot = torch.from_numpy(np.argmax(given.topk_idx[token] == here * 4 + expert, axis=1))
                weights = torch.from_numpy(np.array(given.topk_weights))[token, slot]
                rows = bf16_tensor(np.ascontiguousarray(outputs[expert, begin : begin + count]))
                sums.index_add_(0, token, weighted(rows, weights).float())
        return sums.to(torch.bfloat16)

    def test_it_is_right(self):
        for data in ("exact", "random"):
            exchange = self.exchange(data)
            for rank in range(4):
                with self.subTest(data, rank=rank):
                    report = exchange.oracle.check_combine(rank, bf16_bits(self.combined(exchange, rank)))

                    self.assertTrue(report, report.message)

    def test_a_product_is_rounded_once(self):
        rows = bf16_tensor(epskew.to_bfloat16(np.array([[3.0, 1.0]], dtype=np.float32)))
        weight = 1 + 2**-8  # rounded to bf16 by itself it would be 1

        product = weighted(rows, torch.tensor([weight]))

        self.assertEqual(product.float().tolist(), [[3 + 2**-6, 1.0]])


class PlaceTest(unittest.TestCase):
    def test_no_starter(self):
        self.assertIsNone(Place.of_starter({"PATH": "/bin"}))

    def test_torchrun(self):
        place = Place.of_starter({"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4",
                                  "TORCHELASTIC_RUN_ID": "x"})

        self.assertEqual(place, Place(5, 8, 1, 4, "env://"))

    def test_open_mpi(self):
        place = Place.of_starter({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "1",
                                  "OMPI_COMM_WORLD_LOCAL_SIZE": "2", "MASTER_PORT": "7"})

        self.assertEqual(place, Place(1, 2, 1, 2, "tcp://127.0.0.1:7"))

    def test_several_hosts_need_local_ranks(self):
        with self.assertRaises(epskew.UsageError):
            Place.of_starter({"PMI_RANK": "1", "PMI_SIZE": "2", "MASTER_ADDR": "somewhere"})


class SharedDeviceTest(unittest.TestCase):
    def test_every_device_has_one_rank_that_empties_its_caches_and_the_record_counts_them(self):
        for devices in range(1, 9):
            for ranks in range(1, 17):
                with self.subTest(devices=devices, ranks=ranks), \
                        mock.patch.object(torch.cuda, "device_count", return_value=devices), \
                        mock.patch.object(torch.cuda, "set_device"):
                    shared = job._ranks_per_device("cuda", ranks)
                    task = mock.Mock(job=Job(ranks, ranks, 1, 128, 8, "bf16", "bf16", "cuda", shared))
                    taken = [rank._device_of(task, Place(each, ranks, each, ranks, "")).index for each in range(ranks)]

                    self.assertLessEqual(max(taken), devices - 1)
                    flushing = [taken[each] for each in range(ranks) if each % shared == 0]  # as visit.py has it
                    self.assertEqual(flushing, sorted(set(taken)))
                    self.assertEqual(len(set(taken)), -(-ranks // shared))  # as results.py has it


class BoardTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name) / "board"
        self.addCleanup(self.folder.cleanup)

    def board(self, me, phase_s=60.0):
        return Board(self.path, [0, 1], Limits(phase_s, 60.0), ["uniform"], me)

    def test_one_waits_for_a_late_rank_and_names_it(self):
        first, second = self.board(0, phase_s=0.05), self.board(1)
        second.enter_round(0)
        second.enter("dispatch")

        with self.assertRaisesRegex(epskew.RankLost, r"rank 0 waited in vain for rank 1 \(in dispatch of round uniform"):
            first.meet()

    def test_one_notices_a_rank_that_is_no_more(self):
        first = self.board(0)
        subprocess.run([sys.executable, "-c", (
            "import pathlib, sys; from epskew.bench.board import Board, Limits;"
            "Board(pathlib.Path(sys.argv[1]), [0, 1], Limits(60, 60), ['uniform'], 1).enter('combine')"), str(self.path)],
            check=True, env=runner.environment())

        with self.assertRaisesRegex(epskew.RankLost, "rank 1 died in combine"):
            first.meet()

    def test_who_waits_is_not_stuck(self):
        first, second = self.board(0, phase_s=0.05), self.board(1)
        first.enter("waiting")
        second.enter("dispatch")
        time.sleep(0.1)

        self.assertEqual([state.rank for state in first.stuck()], [1])

    def test_in_a_collective_call_the_one_that_came_least_far_is_stuck(self):
        first, second = self.board(0, phase_s=0.05), self.board(1)
        second.enter("dispatch")
        first.enter("dispatch")
        first.enter("combine")
        time.sleep(0.1)

        self.assertEqual([state.rank for state in first.stuck()], [1])

    def test_a_run_is_over_when_all_are_done_for_a_while(self):
        with mock.patch("epskew.bench.board.GRACE_S", 0.2):
            first, second = self.board(0), self.board(1)
            first.enter("done")
            time.sleep(0.3)
            self.assertFalse(first.is_over())
            second.enter("done")
            self.assertFalse(first.is_over())
            time.sleep(0.3)

            self.assertTrue(first.is_over())

    def test_nobody_is_stuck_within_the_limits(self):
        first, second = self.board(0), self.board(1)
        first.enter("dispatch")
        second.enter("dispatch")

        self.assertEqual(first.stuck(), [])


class QuantiseTest(unittest.TestCase):
    def setUp(self):
        random = np.random.default_rng(1)
        values = random.standard_normal((5, 384)) * np.exp2(random.integers(-12, 12, (5, 1)))
        values[0, :128] = 0
        values[1, 0] = 448.0
        self.x = bf16_tensor(epskew.to_bfloat16(values.astype(np.float32)))

    def test_scales_are_those_of_the_definition(self):
        groups = self.x.float().view(5, 3, 128)
        largest = np.maximum(np.abs(groups.numpy()).max(axis=-1).astype(np.float64), 1e-4) / 448
        above = [[2.0 ** math.ceil(math.log2(each)) for each in row] for row in largest]
        for power_of_two, wanted in ((False, largest), (True, above)):
            with self.subTest(power_of_two=power_of_two):
                scales, multipliers = (each.squeeze(-1).double().numpy() for each in _scales_of(groups, power_of_two))

                np.testing.assert_allclose(scales, wanted, rtol=0 if power_of_two else 2**-22)
                np.testing.assert_allclose(scales * multipliers, 1, rtol=0 if power_of_two else 2**-22)

    @unittest.skipUnless(has_float8(), "this torch has no float8: its cast is not tested, only the scales are")
    def test_codes_are_those_of_every_backend(self):
        for rule in ("fp8", "fp8_pow2"):
            codes, scales = quantise(self.x, rule)
            wanted = epskew.quantise_fp8(bf16_bits(self.x), power_of_two=rule == "fp8_pow2")

            np.testing.assert_array_equal(codes.view(torch.uint8).numpy(), wanted[0])
            np.testing.assert_allclose(scales.numpy(), wanted[1], rtol=2**-22)

    def test_exponent_bytes_are_the_scales(self):
        codes, exponents = quantise(self.x, "fp8_ue8m0")

        self.assertEqual(exponents.dtype, torch.uint8)
        np.testing.assert_array_equal(np.exp2(exponents.numpy().astype(np.float32) - 127), quantise(self.x, "fp8_pow2")[1].numpy())

    @unittest.skipUnless(has_float8(), "this torch has no float8: the cast is epskew's own")
    def test_codes_are_torch_float8(self):
        self.assertEqual(quantise(self.x, "fp8")[0].dtype, torch.float8_e4m3fn)


class DeepEpTestRoutingTest(unittest.TestCase):
    def test_three_lines_give_the_exact_routing(self):
        arguments = ["--num-processes", "4", "--distribution", "gamma", "--imbalance-factors", "2", "--routing-seed", "3"]
        parser = argparse.ArgumentParser()
        parser.add_argument("--num-processes", type=int)
        deepep_test.add_arguments(parser)
        parser.parse_args(arguments)
        wanted = epskew.routing(num_processes=4, num_tokens=16, num_topk=2, num_experts=32, distribution="gamma",
                                imbalance_factor=2.0, seed=3)

        with mock.patch.object(sys, "argv", ["test_low_latency.py", *arguments]), mock.patch("builtins.print"):
            ids = [deepep_test.topk_idx(rank, 4, 16, 2, 32).cpu() for rank in range(4)]

        np.testing.assert_array_equal(torch.cat(ids).numpy(), wanted.topk_idx)
        self.assertEqual(wanted.factor, 2.0)


class RegistryTest(unittest.TestCase):
    def test_each_of_ours_is_found(self):
        for name in ("torch", "deepep", "deepep-v2", "epskew"):
            self.assertTrue(hasattr(find_adapter(name), "set_up"))


if __name__ == "__main__":
    unittest.main()
