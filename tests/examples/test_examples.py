"""The examples in Python, run as the README says, and what they must say."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
# What the skewed test of DeepEP needs to find, in words of our own: the places, not their surroundings.
PLACES = """import os

def test_main(rank, num_ranks, num_tokens, num_topk, num_experts):
    topk_idx = None
    for i in range(10):
        topk_idx[0, i] = -1
    return topk_idx

def flags(parser):
    args = parser.parse_args()
    return args
"""


def run(script, *arguments, **more):
    return subprocess.run([sys.executable, EXAMPLES / script, *map(str, arguments)], capture_output=True, text=True,
                          timeout=100, check=False, env=os.environ | more)


class ExampleTest(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.temporary.name)
        self.addCleanup(self.temporary.cleanup)

    def output(self, script, *arguments, **more):
        done = run(script, *arguments, **more)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_each_has_fifty_lines_at_most_and_is_named_in_the_readme(self):
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        files = [path for path in EXAMPLES.rglob("*") if path.suffix in (".py", ".cpp")]

        self.assertGreaterEqual(len(files), 6)
        for path in files:
            with self.subTest(example=path.name):
                code = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
                self.assertLessEqual(len(code), 50)
                self.assertIn(str(path.relative_to(ROOT)), readme)

    def test_routing_to_torch(self):
        said = self.output("routing_to_torch.py", "2.5")

        self.assertIn("(128, 8) torch.int64, torch.float32", said)
        self.assertIn("factor 2.500", said)

    def test_check_my_library(self):
        self.assertIn("right on all 4 ranks; the factor was 2.00", self.output("check_my_library.py"))

    def test_a_library_that_is_wrong_fails_the_check(self):
        code = (EXAMPLES / "check_my_library.py").read_text(encoding="utf-8")
        spoilt = code.replace("sums[token] += sent.topk_weights[token, slot] *", "sums[token] +=")
        self.assertNotEqual(spoilt, code)
        path = self.folder / "spoilt.py"
        path.write_text(spoilt, encoding="utf-8")

        done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=False)

        self.assertIn("WrongResult: my combine: combine: rank 0, token 0, column 0: expected", done.stderr)

    def test_record_my_library(self):
        result, page = self.folder / "r.json", self.folder / "r.html"

        said = self.output("record_my_library.py", result, page)

        self.assertIn("slowest rank", said)
        record = json.loads(result.read_text(encoding="utf-8"))
        self.assertEqual(record["config"]["backend"], "numpy-gather")
        self.assertEqual([entry["label"] for entry in record["rounds"]], ["uniform", "1.0", "2.0", "3.0"])
        # It checks nothing, and says so.
        self.assertEqual([entry["oracle"] for entry in record["rounds"]], [{"before": None, "after": None}] * 4)
        self.assertIn("numpy-gather backend", page.read_text(encoding="utf-8"))

    def test_the_adapter_of_the_documentation_is_this_one(self):
        documented = re.search(r"```python\n(import torch\n.*?)```", (ROOT / "docs" / "adapters.md").read_text("utf-8"), re.S)

        self.assertTrue((EXAMPLES / "all_gather_adapter.py").read_text("utf-8").endswith(documented.group(1)))

    def test_skewed_deepep_test_routes_as_asked(self):
        original = self.folder / "test_low_latency.py"
        original.write_text(PLACES, encoding="utf-8")

        made = self.output("skew_deepep_test.py", original)

        call = "import argparse; p = argparse.ArgumentParser(); print(flags(p).imbalance_factors)\n"
        ids = "ids = test_main(0, 4, 8, 2, 16)\nprint(tuple(ids.shape), ids.dtype, (ids >= 0).any().item())\n"
        # The loop over what is to be masked is the library's, on what it drew itself.
        program = made.replace("topk_idx = None", "import torch; topk_idx = torch.zeros(8, 10)") + call + ids
        (self.folder / "skewed.py").write_text(program, encoding="utf-8")
        done = subprocess.run([sys.executable, self.folder / "skewed.py", "--imbalance-factors", "2"], capture_output=True,
                              text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("imbalance factor 2.0", done.stdout)
        self.assertIn("(8, 2) torch.int64 True", done.stdout)
        self.assertTrue(done.stdout.startswith("2.0\n"))

    def test_another_version_of_deepeps_test_is_refused(self):
        other = self.folder / "other.py"
        other.write_text("import os\n", encoding="utf-8")

        done = run("skew_deepep_test.py", other)

        self.assertEqual(done.returncode, 1)
        self.assertIn("add by hand: topk_idx = skew.topk_idx", done.stderr)


if __name__ == "__main__":
    unittest.main()
