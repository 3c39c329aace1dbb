"""The oracle passes a right exchange in every format and layout, and says what is wrong with a spoilt one."""

import unittest

import numpy as np

import epskew
from exchange import Exchange

HIDDEN = 256
FORMATS = ("bf16", "fp8", "fp8_pow2", "fp8_ue8m0")


def small_routing(**more):
    return epskew.routing(num_processes=4, num_tokens=12, num_experts=16, num_topk=4, imbalance_factor=2.0, **more)


class RightResults(unittest.TestCase):
    def test_every_format_and_data_set_passes_in_every_layout(self):
        routing = small_routing()
        for dispatch in FORMATS:
            for data in ("exact", "random"):
                exchange = Exchange(routing, HIDDEN, dispatch=dispatch, data=data)
                with self.subTest(dispatch=dispatch, data=data):
                    for rank, delivery in enumerate(exchange.deliveries):
                        for received in (delivery.received(), delivery.packed(), delivery.rank_major()):
                            report = exchange.oracle.check_dispatch(rank, received)

                            self.assertTrue(report, report.message)
                            self.assertEqual(report.checked, delivery.counts.sum())
                            self.assertEqual((report.wrong, report.mismatches, report.message), (0, [], "passed"))
                    for rank, tokens in enumerate(exchange.combined()):
                        report = exchange.oracle.check_combine(rank, epskew.to_bfloat16(tokens))

                        self.assertTrue(report, report.message)
                        self.assertEqual(report.checked, 12)

    def test_expert_output_is_the_same_in_every_layout(self):
        exchange = Exchange(small_routing(), HIDDEN)
        delivery = exchange.deliveries[1]
        keep = np.arange(delivery.rows.shape[1]) < delivery.counts[:, None]

        slots = exchange.oracle.expert_output(1, delivery.received())

        np.testing.assert_array_equal(exchange.oracle.expert_output(1, delivery.packed()), slots[keep])
        np.testing.assert_array_equal(exchange.oracle.expert_output(1, delivery.rank_major()), slots[keep])
        self.assertFalse(slots[~keep].any())

    def test_expert_factors_are_what_expert_output_multiplies_by(self):
        exchange = Exchange(small_routing(), HIDDEN, dispatch="bf16")
        delivery = exchange.deliveries[2]
        factors = exchange.oracle.expert_factors(2)

        output = epskew.to_float32(exchange.oracle.expert_output(2, delivery.received()))

        rows = epskew.to_float32(delivery.rows)
        keep = np.arange(delivery.rows.shape[1]) < delivery.counts[:, None]
        np.testing.assert_array_equal(output[keep], (rows * factors[:, None, None])[keep])
        self.assertEqual(len(set(factors)), len(factors))

    def test_results_go_into_the_array_that_is_given(self):
        exchange = Exchange(small_routing(), HIDDEN)
        delivery = exchange.deliveries[0]
        out = np.full(delivery.rows.shape, 7, np.uint16)

        returned = exchange.oracle.expert_output(0, delivery.received(), out)

        self.assertIs(returned, out)
        keep = np.arange(delivery.rows.shape[1]) < delivery.counts[:, None]
        self.assertTrue((out[~keep] == 7).all())
        np.testing.assert_array_equal(out[keep], exchange.oracle.expert_output(0, delivery.packed()))


class OtherData(unittest.TestCase):
    def test_renewed_data_is_new_and_what_was_delivered_before_is_wrong(self):
        exchange = Exchange(small_routing(), HIDDEN)
        before = exchange.oracle.input(0).x.copy()

        exchange.oracle.renew()

        self.assertFalse((exchange.oracle.input(0).x == before).all(axis=1).any())
        self.assertFalse(exchange.oracle.check_dispatch(1, exchange.deliveries[1].received()))

    def test_blind_experts_answer_the_same_for_every_row(self):
        exchange = Exchange(small_routing(), HIDDEN, data="random")
        exchange.oracle.use_blind_experts()
        results = exchange.oracle.expert_output(1, exchange.deliveries[1].packed())
        tokens = [epskew.to_bfloat16(out) for out in exchange.combined()]

        factors = np.repeat(exchange.oracle.expert_factors(1), exchange.deliveries[1].counts)
        rows = epskew.to_float32(results) / factors[:, None]
        self.assertTrue((rows == rows[0]).all())
        for rank, out in enumerate(tokens):
            self.assertTrue(exchange.oracle.check_combine(rank, out))
        exchange.oracle.use_blind_experts(False)
        self.assertFalse(exchange.oracle.check_combine(0, tokens[0]))


class WrongDispatch(unittest.TestCase):
    def setUp(self):
        self.exchange = Exchange(small_routing(), HIDDEN)
        self.rank = self.exchange.routing.hot_rank
        self.delivery = self.exchange.deliveries[self.rank]
        self.expert = int(self.delivery.counts.argmax())

    def judged(self, received=None):
        report = self.exchange.oracle.check_dispatch(self.rank, received or self.delivery.received())
        self.assertFalse(report)
        self.assertEqual(report.mismatches[0].rank, self.rank)
        return report

    def test_two_swapped_tokens_are_two_wrong_rows(self):
        rows = self.delivery.rows[self.expert]
        scales = self.delivery.scales[self.expert]
        rows[[0, 1]], scales[[0, 1]] = rows[[1, 0]], scales[[1, 0]]

        report = self.judged()

        self.assertEqual((report.wrong, len(report.mismatches)), (2, 2))
        self.assertEqual(report.mismatches[0].token, self.delivery.tokens[self.expert, 0])
        self.assertEqual(report.mismatches[0].expert, self.rank * 4 + self.expert)
        self.assertIn("holds token", report.message)

    def test_a_wrong_scale_is_named(self):
        self.delivery.scales[self.expert, 0, 1] *= 2

        report = self.judged()

        self.assertEqual((report.wrong, report.mismatches[0].column), (1, 128))
        self.assertIn("scale", report.message)

    def test_a_dropped_message_makes_the_counts_wrong(self):
        self.delivery.counts[self.expert] -= 1

        report = self.judged()

        self.assertEqual(report.wrong, report.checked)
        self.assertIn("rows: expected", report.message)

    def test_a_wrong_source_token_is_found(self):
        self.delivery.tokens[self.expert, 0] = 11 if self.delivery.tokens[self.expert, 0] != 11 else 10

        self.assertIn("token", self.judged().message)

    def test_numbers_that_no_row_can_have_are_found_and_not_followed(self):
        places = np.arange(int(self.delivery.counts.sum()))
        keep = np.arange(self.delivery.rows.shape[1]) < self.delivery.counts[:, None]
        rows, scales, tokens = self.delivery.rows[keep], self.delivery.scales[keep], self.delivery.tokens[keep]
        for field, value in (("counts", -1), ("counts", 2**30), ("begin", 2**40), ("begin", -5), ("count", 2**40)):
            with self.subTest(field=field, value=value):
                spoilt = {name: getattr(self.delivery, name).astype(np.int64) for name in ("counts", "begin", "count")}
                spoilt[field].reshape(-1)[0] = value
                received = epskew.Received(self.delivery.rows, spoilt["counts"], spoilt["begin"], spoilt["count"],
                                           self.delivery.tokens, scales=self.delivery.scales)
                self.judged(received)
        for place in (-1, len(places), 2**40):
            with self.subTest(storage_row=place):
                places[0] = place
                self.judged(epskew.Received(rows, self.delivery.counts, self.delivery.begin, self.delivery.count,
                                            tokens, scales=scales, storage_row=places))

    def test_rows_that_are_missing_are_found(self):
        keep = np.arange(self.delivery.rows.shape[1]) < self.delivery.counts[:, None]
        received = epskew.Received(self.delivery.rows[keep][:-1], self.delivery.counts, self.delivery.begin,
                                   self.delivery.count, self.delivery.tokens[keep], scales=self.delivery.scales[keep][:-1])

        self.assertIn("bytes of rows", self.judged(received).message)
        with self.assertRaisesRegex(epskew.UsageError, "check it first"):
            self.exchange.oracle.expert_output(self.rank, received)

    def test_another_format_than_was_asked_for_is_found(self):
        other = Exchange(self.exchange.routing, HIDDEN, dispatch="bf16").deliveries[self.rank]

        self.assertIn("expected format fp8, found bf16", self.judged(other.received()).message)

    def test_require_raises_with_the_message(self):
        self.delivery.counts[0] += 1
        report = self.judged()

        with self.assertRaises(epskew.WrongResult) as caught:
            report.require("round 3.0, before the timing")

        self.assertEqual(str(caught.exception), "round 3.0, before the timing: " + report.message)


class WrongCombine(unittest.TestCase):
    def test_every_wrong_token_counts_and_the_first_eight_are_shown(self):
        exchange = Exchange(small_routing(), HIDDEN)
        tokens = epskew.to_bfloat16(exchange.combined()[1])
        tokens[2:, 200] ^= 0x40

        report = exchange.oracle.check_combine(1, tokens)

        self.assertEqual((report.checked, report.wrong, len(report.mismatches)), (12, 10, 8))
        self.assertEqual([each.token for each in report.mismatches], list(range(2, 10)))
        self.assertEqual((report.mismatches[0].phase, report.mismatches[0].column), ("combine", 200))

    def test_experts_that_were_swapped_show(self):
        exchange = Exchange(small_routing(), HIDDEN, dispatch="bf16")
        oracle, right = exchange.oracle, exchange.oracle.expert_output
        flipped = epskew.Oracle(exchange.routing, HIDDEN, dispatch="bf16", seed=3)

        class Swapped:
            input = staticmethod(oracle.input)

            @staticmethod
            def expert_output(rank, received):
                return right((rank + 1) % 4, received)

        exchange.oracle = Swapped
        verdicts = [flipped.check_combine(rank, epskew.to_bfloat16(out)) for rank, out in enumerate(exchange.combined())]

        self.assertFalse(any(verdicts))

    def test_a_sum_in_another_order_is_right_only_where_any_will_do(self):
        routing = epskew.routing(num_processes=4, num_tokens=64, num_experts=16, num_topk=8)
        exchange = Exchange(routing, 1024, data="random")  # sums by experts, not in top-k order
        tokens = [epskew.to_bfloat16(out) for out in exchange.combined()]

        for rounding, right in (("any_order", True), ("summed_on_the_way", True), ("in_order", False)):
            oracle = epskew.Oracle(routing, 1024, data="random", seed=3, rounding=rounding)

            with self.subTest(rounding=rounding):
                self.assertEqual(all(oracle.check_combine(rank, out) for rank, out in enumerate(tokens)), right)

    def test_too_few_values(self):
        exchange = Exchange(small_routing(), HIDDEN)

        report = exchange.oracle.check_combine(0, np.zeros((3, HIDDEN), np.uint16))

        self.assertEqual((report.wrong, report.checked), (12, 12))


class Mistakes(unittest.TestCase):
    def test_what_does_not_fit_is_refused(self):
        exchange = Exchange(small_routing(), HIDDEN)
        delivery, oracle = exchange.deliveries[0], exchange.oracle
        parts = (delivery.counts, delivery.begin, delivery.count, delivery.tokens)
        refused = {
            "C-contiguous": lambda: epskew.Received(delivery.rows[:, ::2], *parts, scales=delivery.scales),
            "bytes a number": lambda: epskew.Received(delivery.rows.astype(np.float32), *parts),
            "rows have shape": lambda: epskew.Received(delivery.rows.reshape(-1), *parts),
            "scales have shape": lambda: epskew.Received(delivery.rows, *parts, scales=delivery.scales[:, :, :1].copy()),
            "scales are neither": lambda: epskew.Received(delivery.rows, *parts, scales=delivery.scales.astype(np.float64)),
            "whole numbers": lambda: epskew.Received(delivery.rows, delivery.counts * 1.5, *parts[1:], scales=delivery.scales),
            "source_token has shape": lambda: epskew.Received(delivery.rows, *parts[:3], [1, 2], scales=delivery.scales),
            "counts have shape": lambda: epskew.Received(delivery.rows, [1], *parts[1:], scales=delivery.scales),
            "is given for rows": lambda: epskew.Received(delivery.rows, *parts, scales=delivery.scales, storage_row=[0]),
            "rows have 256 columns": lambda: epskew.Oracle(exchange.routing, 128).check_dispatch(0, delivery.received()),
            "--hidden 100": lambda: epskew.Oracle(exchange.routing, 100),
            "dispatch format int4": lambda: epskew.Oracle(exchange.routing, 128, dispatch="int4"),
            "combine format fp8": lambda: epskew.Oracle(exchange.routing, 128, combine="fp8"),
            "rounding wild": lambda: epskew.Oracle(exchange.routing, 128, rounding="wild"),
            "data pretty": lambda: epskew.Oracle(exchange.routing, 128, data="pretty"),
            "uint16": lambda: oracle.check_combine(0, np.zeros((12, HIDDEN), np.float32)),
            "out is no": lambda: oracle.expert_output(0, delivery.received(), np.zeros(5, np.uint16)),
        }
        for problem, call in refused.items():
            with self.subTest(problem=problem), self.assertRaisesRegex(epskew.UsageError, problem):
                call()
        for rank in (-1, 4):
            with self.subTest(rank=rank), self.assertRaises(IndexError):
                oracle.check_dispatch(rank, delivery.received())
            with self.subTest(rank=rank), self.assertRaises(IndexError):
                oracle.input(rank)


class NumberFormats(unittest.TestCase):
    def test_bf16_rounds_to_even_and_back_exactly(self):
        floats = np.array([1.0, 1.00390625, 1.01171875, -3.0, 0.0], np.float32)  # 2nd and 3rd lie half-way

        bits = epskew.to_bfloat16(floats)

        np.testing.assert_array_equal(bits, np.array([0x3F80, 0x3F80, 0x3F82, 0xC040, 0], np.uint16))
        np.testing.assert_array_equal(epskew.to_float32(bits), np.array([1, 1, 1.015625, -3, 0], np.float32))

    def test_fp8_of_representable_values_is_exact(self):
        x = np.tile(np.array([448, -1, 0.5, 0], np.float32), (2, 32))
        codes, scales = epskew.quantise_fp8(epskew.to_bfloat16(x), power_of_two=True)

        np.testing.assert_array_equal(scales, np.ones((2, 1), np.float32))
        np.testing.assert_array_equal(codes[0, :4], [0x7E, 0xB8, 0x30, 0])
        np.testing.assert_array_equal(epskew.to_float32(epskew.dequantise_fp8(codes, scales)), x)
        np.testing.assert_array_equal(epskew.dequantise_fp8(codes, np.full((2, 1), 127, np.uint8)), epskew.to_bfloat16(x))

    def test_wrong_shapes_are_refused(self):
        with self.assertRaisesRegex(epskew.UsageError, "multiple of 128"):
            epskew.quantise_fp8(np.zeros((1, 100), np.uint16))
        with self.assertRaisesRegex(epskew.UsageError, "of 2 numbers"):
            epskew.dequantise_fp8(np.zeros((1, 256), np.uint8), np.zeros((1, 1), np.float32))


if __name__ == "__main__":
    unittest.main()
