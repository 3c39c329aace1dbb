"""Command lines that cannot be meant: misspelt, incomplete, or with a result in the place of what is read."""

import os
import pathlib
import subprocess
import time
import unittest

from program import DATA, ProgramTest


class CommandLineTest(ProgramTest):
    def test_an_unknown_word_comes_with_the_nearest_and_the_right_help(self):
        for words, told in {
            ("bnech",): "'bnech' is unknown (no such command); did you mean bench? See epskew --help",
            ("bogus",): "'bogus' is unknown (no such command); see epskew --help",
            ("bench", "--bakcend", "cpu"): "--bakcend is unknown (epskew bench has no such flag); did you mean --backend?",
            ("bench", "--bakcend=cpu"): "--bakcend is unknown",
            ("bench", "--tokens", "8"): "did you mean --num-tokens? See epskew bench --help",
            ("bench", "--bogus"): "--bogus is unknown (epskew bench has no such flag); see epskew bench --help",
            ("gen", "--iterations", 3): "--iterations is unknown (epskew gen has no such flag); see epskew gen --help",
            ("bench", "cpu"): "'cpu' is one word too many (epskew bench takes no such argument)",
            ("--backend", "cpu", "bench"): "--backend stands in the wrong place (it is a flag of epskew bench)",
        }.items():
            with self.subTest(words):
                self.refuse(told, *words)

    def test_a_value_that_is_none_is_named_with_what_was_expected(self):
        for words, told in {
            ("gen", "-o", "-", "--seed", "abc"): "--seed abc is not understood (a whole number from 0 was expected)",
            ("gen", "-o", "-", "--num-tokens", "1e3"): "--num-tokens 1e3 is not understood (a whole number was expected)",
            ("bench", "--imbalance-factors", "1,x"): "--imbalance-factors 1,x is not understood (a number was expected)",
            ("gen",): "--output is missing (epskew gen needs it)",
            ("gen", "-o"): "--output has no value (it takes one)",
            ("gen", "-o", "-", "--seed", 1, "--seed", 2): "--seed is given more than once (it takes one value)",
            ("compare", "a.json"): "B is missing (epskew compare needs it)",
            (): "no command is given (there is nothing to do); see epskew --help",
        }.items():
            with self.subTest(words):
                self.refuse(told, *words)

    # Regression: an empty value counted as no flag, so an unset variable of a shell script gave the default run.
    def test_an_empty_value_is_none(self):
        for words, told in {
            ("gen", "-o", "-", "--num-tokens", ""): "--num-tokens is empty",
            ("gen", "-o", "-", "--num-tokens="): "--num-tokens is empty",
            ("bench", "--trace", ""): "--trace is empty",
            ("gen", "-o", ""): "-o is empty",
            ("inspect", ""): "argument 2 is empty",
            ("bench", "--imbalance-factors", "1,,2"): "--imbalance-factors 1,,2 has an empty place",
            ("bench", "--num-tokens-per-rank=1,"): "--num-tokens-per-rank 1, has an empty place",
        }.items():
            with self.subTest(words):
                self.refuse(told, *words)

    # Regression: 010 was eight, and 18446744073709551616 the largest seed.
    def test_a_whole_number_is_read_as_it_stands(self):
        def made(*words):
            return self.succeed("gen", "--num-tokens", 4, "-o", self.folder / "r.safetensors", *words).rpartition(b": ")[2]

        self.assertEqual(made("--seed", "010"), made("--seed", 10))
        self.assertEqual(made("--num-processes", "0008", "--seed", "00"), made("--num-processes", "+8"))
        self.refuse("--seed 18446744073709551616 is out of range", "gen", "-o", "-", "--seed", 2**64)
        self.refuse("--num-tokens 9223372036854775808 is out of range", "gen", "-o", "-", "--num-tokens", 2**63)
        self.refuse("--max-file-bytes -1 is negative", "inspect", "r.safetensors", "--max-file-bytes", -1)
        self.refuse("--num-tokens 0x is not understood", "gen", "-o", "-", "--num-tokens", "0x")

    # Regression: the shared memory of the ranks took the number of a closed stream, and what was printed went into it.
    def test_a_closed_stream_is_nothing_elses(self):
        for stream, output in ((1, "-"), (2, os.devnull)):
            with self.subTest(stream), subprocess.Popen(
                    [os.environ["EPSKEW"], "bench", "--backend", "cpu", "--num-processes", "2", "--num-tokens", "8", "--num-experts", "8",
                     "--num-topk", "2", "--hidden", "128", "--iterations", "1000000", "--json", output],
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=lambda: os.close(stream)) as program:
                children = pathlib.Path(f"/proc/{program.pid}/task/{program.pid}/children")
                for _ in range(1000):
                    if children.read_text():
                        break
                    time.sleep(0.01)

                held = os.readlink(f"/proc/{program.pid}/fd/{stream}")
                program.kill()

                self.assertEqual(held, os.devnull)

    def test_what_cannot_be_printed_is_a_failure_that_says_why(self):
        with open("/dev/full", "w") as full:
            for words in (("--help",), ("info",), ("inspect", DATA / "counts.csv"), ("gen", "-o", "-")):
                with self.subTest(words):
                    self.end_with_failure("epskew: writing standard output failed: No space left on device\n", *words, stdout=full)
        self.end_with_failure("writing standard output failed: Bad file descriptor", "info", preexec_fn=lambda: os.close(1))

    def test_no_result_replaces_what_is_read(self):
        layer = self.folder / "expert_weights_0.txt"
        layer.write_bytes((DATA / "esft/expert_weights_4.txt").read_bytes())
        routing = self.folder / "r.safetensors"
        self.succeed("gen", "-o", routing)
        law = self.folder / "law.json"
        law.write_text("{}")
        before = {path: path.read_bytes() for path in self.folder.iterdir()}

        for words in (("inspect", routing, "--json", routing),
                      ("inspect", self.folder, "--json", layer),
                      ("fit", self.folder, "--html", layer),
                      ("gen", "--trace", routing, "-o", routing),
                      ("gen", "--law", law, "-o", law),
                      ("bench", "--trace", routing, "--json", routing),
                      ("bench", "--law", law, "--csv", law),
                      ("bench", "--pattern", "matrix", "--matrix", law, "--html", law),
                      ("report", law, "-o", law),
                      ("compare", law, routing, "--json", law)):
            with self.subTest(words):
                self.refuse("it is also an input and would be replaced", *words)
        self.assertEqual({path: path.read_bytes() for path in self.folder.iterdir()}, before)


if __name__ == "__main__":
    unittest.main()
