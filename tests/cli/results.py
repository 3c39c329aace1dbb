"""Result files for tests of the commands that read them."""

import gzip
import json
import pathlib
import subprocess
import sys
import tempfile

from program import DATA, SOURCE, ProgramTest

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

    def write_bytes(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        return path

    def other_files(self):
        """What the other commands read and write, with what it should be called and which command is for it."""
        routing, page, csv, comparison, inspection, fit, law = (
            self.folder / name for name in ("r.safetensors", "r.html", "r.csv", "c.json", "i.json", "f.json", "law.json"))
        counts = DATA / "counts.csv"
        self.succeed("gen", "--num-tokens", 4, "-o", routing)
        self.succeed("report", self.good, "-o", page)
        self.succeed("compare", self.good, self.good, "--json", comparison)
        self.succeed("inspect", counts, "--json", inspection)
        self.succeed("fit", counts, "--bootstrap", 0, "--json", fit, "--law-out", law)
        self.succeed("bench", "--backend", "reference", "--num-tokens", 4, "--hidden", 128, "--iterations", 1, "--warmup", 0,
                     "--passes", 1, "--no-flush", "--csv", csv)
        return {
            "routing": (routing, "is a routing file", "epskew inspect"),
            "routing of another name": (self.write_bytes("r.json", routing.read_bytes()), "is a routing file", "bench --trace"),
            "page": (page, "is a page", "bench --json"),
            "table": (csv, "is the CSV of a run", "bench --json"),
            "comparison": (comparison, "is a comparison", "two files"),
            "inspection": (inspection, "is what epskew inspect saw", "bench --json"),
            "fit": (fit, "is a fit", "fit --html"),
            "law": (law, "is a law", "bench --law"),
            "placement": (self.write("p.json", '{"format": "epskew-placement"}'), "is a placement", "bench --placement"),
            "counts": (counts, "is recorded routing", "epskew inspect"),
            "JSON lines": (DATA / "vllm.jsonl", "is recorded routing as JSON lines", "epskew inspect"),
            "array": (self.write_bytes("a.npy", b"\x93NUMPY\x01\x00"), "is a NumPy array", "epskew inspect"),
            "compressed": (self.write_bytes("r.json.gz", gzip.compress(b"{}")), "is compressed", "unpack it"),
        }

    def refuse_other_files(self, *arguments):
        """Calls the command with each of other_files in the place of `None`."""
        for name, (path, what, remedy) in self.other_files().items():
            with self.subTest(name):
                called = [path if argument is None else argument for argument in arguments]
                self.refuse(what, *called)
                self.refuse(remedy, *called)

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
            "no rounds": (self.write("none.json", json.dumps({**json.loads(text), "rounds": []})), "no round"),
            "version": (self.write("new.json", json.dumps(other)), "schema version 7.0.0"),
        }
