"""Ranks that torchrun or mpirun starts, and what an installed package registers."""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import unittest

import runner

ARGUMENTS = ["--adapter", "torch", "--device", "cpu", "--dispatch-format", "bf16", "--modes", "pair"]


def documented_adapter():
    """The code of docs/adapters.md's adapter."""
    text = (runner.ROOT / "docs" / "adapters.md").read_text(encoding="utf-8")
    return re.search(r"```python\n(import torch\n.*?)```", text, re.S).group(1)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


class StarterTest(runner.RunnerTest):
    def start(self, size, *arguments):
        """Exit codes and outputs of `size` processes with torchrun's variables."""
        common = {"WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1",
                  "MASTER_PORT": free_port()}
        processes = [
            subprocess.Popen(runner.command(*arguments, *runner.SMALL), text=True, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, env=runner.environment(RANK=str(rank), LOCAL_RANK=str(rank), **common))
            for rank in range(size)
        ]
        outputs = [process.communicate(timeout=runner.LIMIT_S) for process in processes]
        return [process.returncode for process in processes], outputs

    def test_processes_of_torchrun_are_the_ranks(self):
        codes, outputs = self.start(2, *ARGUMENTS, "--num-processes", "2", "--json", "-")

        self.assertEqual(codes, [0, 0], outputs)
        self.assertEqual(json.loads(outputs[0][0])["config"]["num_ranks"], 2)
        self.assertEqual(outputs[1][0], "")

    def test_another_number_of_processes_is_refused(self):
        codes, outputs = self.start(2, *ARGUMENTS, "--num-processes", "4")

        self.assertEqual(codes, [2, 2])
        self.assertIn("--num-processes 4 does not fit this job (2 processes were started)", outputs[0][1])

    def test_the_others_notice_a_rank_that_dies(self):
        codes, outputs = self.start(2, "--adapter", "faulty:FailingTorch", "--variant", "act=die", "--device", "cpu",
                                    "--dispatch-format", "bf16", "--modes", "fused", "--num-processes", "2")

        self.assertEqual(codes, [4, -9], outputs)
        self.assertRegex(outputs[0][1], r"rank 1 died in dispatch of round \S+")

    def test_a_library_that_hangs_at_the_end_keeps_nobody(self):
        cases = [(0, "in=exit"), (0, "in=group"), (1, "in=exit", "fail=yes")]
        for code, *variants in cases:
            with self.subTest(variants):
                options = [word for variant in variants for word in ("--variant", variant)]
                codes, outputs = self.start(2, "--adapter", "faulty:ClingingTorch", *options, *ARGUMENTS[2:],
                                            "--num-processes", "2")

                self.assertEqual(codes, [code, code], outputs)
                self.assertEqual("slowest rank" in outputs[0][0], code == 0)

    def test_a_place_that_is_not_said_whole_is_the_users_mistake(self):
        result = runner.run(*ARGUMENTS, RANK="1", WORLD_SIZE="2", MASTER_ADDR="somewhere")

        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertIn("epskew: LOCAL_RANK and LOCAL_WORLD_SIZE are not set", result.stderr)

    @unittest.skipUnless(shutil.which("mpirun"), "no mpirun here")
    def test_processes_of_mpirun_are_the_ranks(self):
        result = self.expect(0, *ARGUMENTS, "--num-processes", "2", MASTER_PORT=free_port(),
                             prefix=["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "2"])

        self.assertIn("slowest rank", result.stdout)


class DocumentedAdapterTest(runner.RunnerTest):
    def test_it_has_forty_lines_and_passes_the_oracle_under_its_registered_name(self):
        code = documented_adapter()
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "my_module.py").write_text(code, encoding="utf-8")
            package = pathlib.Path(folder) / "my_package-1.0.dist-info"
            package.mkdir()
            (package / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n", encoding="utf-8")
            (package / "entry_points.txt").write_text("[epskew.adapters]\nall-gather = my_module:AllGatherAdapter\n",
                                                      encoding="utf-8")
            path = os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")])
            _, record = self.record("--adapter", "all-gather", "--num-processes", "2", "--device", "cpu", "--dispatch-format",
                                    "bf16", PYTHONPATH=path)
            refused = self.expect(2, "--adapter", "all-gather", "--num-processes", "2", "--device", "cpu", PYTHONPATH=path)

        self.assertLessEqual(len([line for line in code.splitlines() if line.strip()]), 40)
        self.assertEqual(record["config"]["backend"], "all-gather")
        self.assertIn("choose --device cpu --dispatch-format bf16", refused.stderr)


if __name__ == "__main__":
    unittest.main()
