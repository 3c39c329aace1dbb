"""Runs `python -m epskew.bench` at a small shape."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LIMIT_S = 120
SMALL = ["--num-tokens", "8", "--hidden", "256", "--num-experts", "16", "--num-topk", "3", "--num-masked", "2",
         "--iterations", "6", "--warmup", "1", "--passes", "2", "--imbalance-factors", "1,1.5"]


def environment(**more):
    """This process's, with the tests' own modules on the path."""
    path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"PYTHONPATH": path} | more


def command(*arguments):
    return [sys.executable, "-m", "epskew.bench", *arguments]


def run(*arguments, small=True, prefix=(), **more):
    """The finished process."""
    return subprocess.run([*prefix, *command(*arguments, *(SMALL if small else ()))], capture_output=True, text=True,
                          timeout=LIMIT_S, env=environment(**more), check=False, stdin=subprocess.DEVNULL)


class RunnerTest(unittest.TestCase):
    def expect(self, code, *arguments, **options):
        """The run, which must end with this code."""
        result = run(*arguments, **options)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        return result

    def record(self, *arguments, **options):
        """(finished process, result file) of a run that succeeds."""
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "result.json"
            result = self.expect(0, *arguments, "--json", str(file), **options)
            return result, json.loads(file.read_text(encoding="utf-8"))
