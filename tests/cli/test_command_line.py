"""Command lines that cannot be meant: misspelt, incomplete, or with a result in the place of what is read."""

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
