"""The examples of docs/workloads.md, run as they stand, and the flags that README and docs/ name."""

import os
import pathlib
import re
import subprocess
import unittest

from program import SOURCE, ProgramTest

COMMANDS = ("bench", "gen", "inspect", "fit", "report", "compare", "info")
PAGES = [SOURCE / "README.md", SOURCE / "schema/README.md", *sorted((SOURCE / "docs").glob("*.md"))]
# Flags of other people's programs that the pages name.
OTHERS = {"--component", "--config-settings", "--gtest", "--hostfile", "--inplace", "--install", "--mca", "--no-index", "--nproc",
          "--prefix", "--wrap"}
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]+")


def flags_of_scripts():
    """Of the programs beside epskew: benches, tools and the Python package."""
    files = [file for folder in ("bench", "python", "tools", "tests/fuzz") for file in (SOURCE / folder).rglob("*")
             if file.suffix in (".py", ".cpp", ".cu", "") and file.is_file()]
    return {flag for file in files for flag in FLAG.findall(file.read_text())}


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

    def test_every_page_is_linked_from_the_readme_and_every_link_leads_somewhere(self):
        for page in PAGES:
            for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
                with self.subTest(page.name, target=target):
                    self.assertTrue((page.parent / target).exists())
        readme = (SOURCE / "README.md").read_text()
        for page in PAGES[1:]:
            with self.subTest(page.name):
                self.assertIn(f"]({page.relative_to(SOURCE)})", readme)

    def test_every_flag_that_the_pages_name_exists(self):
        helps = {command: set(FLAG.findall(self.succeed(command, "--help").decode())) for command in COMMANDS}
        known = set.union(*helps.values(), flags_of_scripts(), OTHERS)
        example = re.compile(rf"(?<!\w)epskew ({'|'.join(COMMANDS)})\b([^`\n#]*)")

        named = 0
        for page in PAGES:
            text = page.read_text()
            with self.subTest(page.name):
                self.assertEqual(set(FLAG.findall(text)) - known, set())
            for command, words in example.findall(text):
                unknown = set(FLAG.findall(words)) - helps[command]
                self.assertEqual(unknown, set(), f"{page.name}: epskew {command}{words}")
                named += 1
        self.assertGreater(named, 20)


if __name__ == "__main__":
    unittest.main()
