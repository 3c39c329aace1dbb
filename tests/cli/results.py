"""Result files for tests of the commands that read them."""

import json
import pathlib
import subprocess
import sys
import tempfile

from program import SOURCE, ProgramTest

SAMPLE = SOURCE / "tests/browser/sample_result.py"


class ResultTest(ProgramTest):
    """Has a good result file, made once, and files that are none."""

    @classmethod
    def setUpClass(cls):
        cls.made = tempfile.TemporaryDirectory()
        cls.good = pathlib.Path(cls.made.name) / "good.json"
        subprocess.run([sys.executable, SAMPLE, cls.good], check=True)

    @classmethod
    def tearDownClass(cls):
        cls.made.cleanup()

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def bad_results(self):
        text = self.good.read_text()
        other = json.loads(text)
        other["schema_version"] = "7.0.0"
        return {
            "missing": (self.folder / "missing.json", "missing.json cannot be read"),
            "folder": (self.folder, "cannot be read"),
            "empty": (self.write("empty.json", ""), "not a whole JSON file"),
            "truncated": (self.write("cut.json", text[: len(text) // 2]), "not a whole JSON file"),
            "not JSON": (self.write("text.json", "hello"), "not a whole JSON file"),
            "not ours": (self.write("other.json", '{"a": [1, 2]}'), "not an epskew result file"),
            "version": (self.write("new.json", json.dumps(other)), "schema version 7.0.0"),
        }
