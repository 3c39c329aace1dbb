import json
import unittest

import jsonschema

from program import SOURCE
from results import ResultTest

SCHEMA = SOURCE / "schema/compare.schema.json"


class CompareTest(ResultTest):
    def slower(self, factor, round_index, phase):
        document = json.loads(self.good.read_text())
        samples = document["rounds"][round_index]["timing"][phase]["samples_us"]
        for row in samples:
            row[:] = [value * factor for value in row]
        return self.write("slower.json", json.dumps(document))

    def test_refuses_what_is_no_result(self):
        for name, (path, words) in self.bad_results().items():
            with self.subTest(name):
                self.refuse(words, "compare", self.good, path)

    def test_says_what_another_file_is_and_who_reads_it(self):
        self.refuse_other_files("compare", self.good, None)

    def test_of_a_run_with_itself_sees_no_difference(self):
        done = self.run_program("compare", self.good, self.good, "--fail-above", "1.0")

        self.assertEqual(done.returncode, 0, done.stderr)
        # 4 rounds of 3 phases, p50 and p99 each.
        self.assertEqual(done.stdout.count(b"no difference seen"), 24)

    def test_fails_a_regression_with_exit_code_1(self):
        slow = self.slower(1.5, 3, "dispatch")

        done = self.run_program("compare", self.good, slow, "--phase", "dispatch", "--fail-above", "1.05")

        self.assertEqual(done.returncode, 1)
        self.assertIn("dispatch of round 3.0 takes 1.500 times as long", done.stderr.decode())
        self.assertEqual(done.stdout.count(b"B slower"), 2)

    def test_without_a_limit_passes_a_regression(self):
        self.assertEqual(self.run_program("compare", self.good, self.slower(1.5, 3, "dispatch")).returncode, 0)

    def test_looks_only_at_the_phases_asked_for(self):
        slow = self.slower(1.5, 3, "dispatch")

        done = self.run_program("compare", self.good, slow, "--phase", "combine", "--fail-above", "1.05")

        self.assertEqual(done.returncode, 0, done.stderr)

    def test_writes_json_even_where_it_fails(self):
        out = self.folder / "compare.json"

        done = self.run_program("compare", self.good, self.slower(1.5, 3, "dispatch"), "--fail-above", "1.05", "--json", out)

        self.assertEqual(done.returncode, 1)
        comparison = json.loads(out.read_text())
        jsonschema.validate(comparison, json.loads(SCHEMA.read_text()))
        self.assertTrue(comparison["failed"])
        slow = [row for row in comparison["phases"] if row["p50"]["reading"] == "B slower"]
        self.assertEqual([(row["round"], row["phase"]) for row in slow], [("3.0", "dispatch")])
        self.assertAlmostEqual(slow[0]["p50"]["ratio"], 1.5)

    def test_replaces_no_input(self):
        victim = self.write("victim.json", self.good.read_text())

        self.refuse("it is also an input", "compare", victim, self.good, "--json", victim)
        self.refuse("it is also an input", "compare", self.good, victim, "--json", victim)

        self.assertEqual(victim.read_text(), self.good.read_text())

    def test_refuses_an_unknown_phase_and_a_senseless_limit(self):
        self.refuse("--phase send is unknown", "compare", self.good, self.good, "--phase", "send")
        self.refuse("--fail-above 0.9", "compare", self.good, self.good, "--fail-above", "0.9")


if __name__ == "__main__":
    unittest.main()
