"""The adapters of DeepEP V1 and V2, whole runs on fakes of the library with its own signatures and layouts."""

import unittest

import runner

SHAPE = ["--num-processes", "2", "--device", "cpu", "--hidden", "512", "--num-tokens", "8", "--num-experts", "16",
         "--num-topk", "3", "--num-masked", "2", "--warmup", "1", "--passes", "1",
         "--imbalance-factors", "1,1.5"]
WHOLE = {"dispatch", "combine"}
HALVES = {"dispatch_send", "dispatch_recv", "combine_send", "combine_recv"}


class DeepEpTest(runner.RunnerTest):
    def check(self, adapter, *options):
        """Which phases were timed in a run in which the oracle found nothing."""
        _, record = self.record("--adapter", f"on_host:{adapter}", *SHAPE, "--iterations", "3", *options, small=False)
        self.assertEqual({entry["oracle"]["before"] for entry in record["rounds"]}, {"passed"})
        return {phase for phase, timing in record["rounds"][0]["timing"].items() if timing}

    def test_v1_in_every_kind_of_format_whole_and_in_halves(self):
        for rule in ("bf16", "fp8", "fp8_ue8m0"):
            with self.subTest(rule):
                self.assertEqual(self.check("DeepEpOnHost", "--dispatch-format", rule), WHOLE | HALVES | {"dispatch_combine"})

    def test_v1_with_results_written_in_place(self):
        self.assertEqual(self.check("DeepEpOnHost", "--variant", "zero_copy=on"), WHOLE | HALVES)

    def test_v1_in_logfmt(self):
        self.assertEqual(self.check("DeepEpOnHost", "--use-logfmt", "--modes", "fused"), WHOLE)

    def test_faults_in_the_output_of_v1_are_found(self):
        wanted = {"FaultyDeepEpOnHost": ("drop", "before the timing: dispatch: rank 1, expert .*rows: expected"),
                  "ForgetfulDeepEpOnHost": ("dispatch", "in the timing: dispatch: rank ")}
        for adapter, (fault, words) in wanted.items():
            with self.subTest(adapter):
                result = self.expect(3, "--adapter", f"on_host:{adapter}", *SHAPE, "--iterations", "8", "--modes",
                                     "split", "--variant", f"fault={fault}", small=False)
                self.assertRegex(result.stderr, words)

    def test_v2_with_and_without_counts_on_the_host(self):
        for rule, sync in (("bf16", "off"), ("fp8", "on"), ("fp8_pow2", "off")):
            with self.subTest(rule, sync=sync):
                self.assertEqual(self.check("DeepEpV2OnHost", "--dispatch-format", rule, "--variant", f"cpu_sync={sync}"),
                                 WHOLE)


if __name__ == "__main__":
    unittest.main()
