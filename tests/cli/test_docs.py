"""The examples of docs/workloads.md, run as they stand."""

import os
import pathlib
import re
import subprocess
import unittest

from program import SOURCE, ProgramTest


class DocsTest(ProgramTest):
    def test_every_example_runs(self):
        blocks = re.findall(r"```sh\n(.*?)```", (SOURCE / "docs/workloads.md").read_text(), re.DOTALL)
        (self.folder / "bin").mkdir()
        (self.folder / "bin/epskew").symlink_to(pathlib.Path(os.environ["EPSKEW"]).resolve())
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"

        self.assertGreater(len(blocks), 5)
        for block in blocks:
            with self.subTest(block):
                result = subprocess.run(["bash", "-euc", block], cwd=self.folder, env={**os.environ, "PATH": path},
                                        capture_output=True, timeout=60)
                self.assertEqual(result.returncode, 0, result.stderr.decode())


if __name__ == "__main__":
    unittest.main()
