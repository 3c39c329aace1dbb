"""Runs the program under test; its path is in EPSKEW."""

import os
import pathlib
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
DATA = SOURCE / "tests/unit/trace/data"
# Recorded routing that lies beside the repository on some machines.
RECORDINGS = SOURCE.parent / "shared/data/esft-deepseek-v2-lite"


def write_esft_layer(path, tokens):
    """One layer as ESFT writes it, a line a token; `tokens` are lists of (expert, weight)."""
    path.write_text("".join("\t".join(str(e) for e, _ in token) + "\t\t" + "\t".join(str(w) for _, w in token) + "\n"
                            for token in tokens))


class ProgramTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_program(self, *arguments):
        return subprocess.run([os.environ["EPSKEW"], *map(str, arguments)], capture_output=True, timeout=60)

    def succeed(self, *arguments):
        result = self.run_program(*arguments)
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        return result.stdout

    def end_with_failure(self, problem, *arguments, **options):
        """Exit 1 with `problem` in one line on stderr."""
        result = subprocess.run([os.environ["EPSKEW"], *map(str, arguments)], stderr=subprocess.PIPE, timeout=60, **options)
        message = result.stderr.decode()
        self.assertEqual(result.returncode, 1, message)
        self.assertIn(problem, message)

    def refuse(self, problem, *arguments):
        """Exit 2, one line on stderr that holds `problem` and a remedy, nothing on stdout, no file made."""
        before = sorted(self.folder.rglob("*"))
        result = self.run_program(*arguments)
        message = result.stderr.decode()
        self.assertEqual(result.returncode, 2, message)
        self.assertIn(problem, message)
        self.assertTrue(message.startswith("epskew: "), message)
        self.assertEqual(message.count("\n"), 1, message)
        self.assertIn("); ", message)
        self.assertEqual(result.stdout, b"")
        self.assertEqual(sorted(self.folder.rglob("*")), before)
