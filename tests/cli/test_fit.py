import csv
import html
import json
import unittest

import jsonschema

from program import RECORDINGS, SOURCE, ProgramTest

COUNTS = SOURCE / "tests/fit/counts.csv"
SCHEMA = json.loads((SOURCE / "schema/fit.schema.json").read_text())


def refuse_constant(text):
    raise ValueError(f"{text} is not JSON")


class FitTest(ProgramTest):
    def fit(self, *arguments):
        report = json.loads(self.succeed("fit", *arguments, "--json", "-"), parse_constant=refuse_constant)
        jsonschema.Draft202012Validator(SCHEMA).validate(report)
        return report

    def trace(self, layers):
        """A recording as CSV: one list of counts a layer."""
        file = self.folder / "trace.csv"
        rows = [f"{l},{e},{count}" for l, counts in enumerate(layers) for e, count in enumerate(counts)]
        file.write_text("\n".join(["layer,expert,count", *rows]) + "\n")
        return file

    def test_json_fits_the_schema_with_and_without_bootstrap(self):
        quick = self.fit(COUNTS, "--layers", "0,3", "--bootstrap", "0")
        resampled = self.fit(COUNTS, "--layers", "0,3", "--bootstrap", "40", "--level", "rank", "--num-processes", "16")

        self.assertEqual([level["num_ranks"] for level in quick["levels"]], [None, 8, 16, 32])
        self.assertEqual([level["num_ranks"] for level in resampled["levels"]], [16])
        self.assertEqual(quick["trace"]["layers"], [0, 3])
        parameter = resampled["levels"][0]["layers"][0]["fits"][1]["least_squares"]["parameters"][1]
        self.assertEqual(parameter["name"], "sigma")
        self.assertLess(parameter["low"], parameter["value"])
        self.assertGreater(parameter["high"], parameter["value"])

    def test_loads_are_the_recording_s(self):
        with open(COUNTS) as file:
            counts = [int(row["count"]) for row in csv.DictReader(file) if row["layer"] == "5"]
        mean = sum(counts) / len(counts)

        layer = self.fit(COUNTS, "--layers", "5", "--level", "expert", "--bootstrap", "0")["levels"][0]["layers"][0]

        self.assertEqual(layer["selections"], sum(counts))
        self.assertAlmostEqual(layer["factor"], max(counts) / mean, places=9)
        for mine, theirs in zip(layer["loads"], sorted(count / mean for count in counts)):
            self.assertAlmostEqual(mine, theirs, delta=1e-5 * theirs)

    def test_page_and_json_agree(self):
        file, page = self.folder / "fit.json", self.folder / "fit.html"

        self.succeed("fit", COUNTS, "--layers", "0,3", "--bootstrap", "0", "--json", file, "--html", page)

        level = json.loads(file.read_text())["levels"][0]
        self.assertIn(html.escape(level["conclusion"], quote=False), page.read_text())
        self.refuse("asked for twice", "fit", COUNTS, "--json", "-", "--html", "-")

    def test_text_and_json_agree(self):
        file = self.folder / "fit.json"
        text = self.succeed("fit", COUNTS, "--level", "expert", "--bootstrap", "40", "--json", file).decode()

        level = json.loads(file.read_text())["levels"][0]

        self.assertIn(level["conclusion"], text)
        lognormal = next(family for family in level["families"] if family["family"] == "lognormal")
        row = next(line for line in text.splitlines() if line.strip().startswith("lognormal"))
        self.assertIn(f"{lognormal['mean_sse']:.3g}", row)
        self.assertEqual(int(row.split()[1]), lognormal["wins"])

    def test_a_placement_file_moves_experts(self):
        file = self.trace([[6, 2, 1, 3]])
        placement = self.folder / "placement.json"
        placement.write_text(json.dumps({"format": "epskew-placement", "version": 1, "slot_of_expert": [0, 2, 1, 3]}))
        common = (file, "--level", "rank", "--num-processes", "2", "--bootstrap", "0")

        contiguous = self.fit(*common)
        placed = self.fit(*common, "--placement", placement)

        self.assertAlmostEqual(contiguous["levels"][0]["layers"][0]["factor"], 8 / 6)
        self.assertAlmostEqual(placed["levels"][0]["layers"][0]["factor"], 7 / 6)

    def test_law_out_runs(self):
        law = self.folder / "law.json"
        self.succeed("fit", COUNTS, "--level", "rank", "--num-processes", "16", "--bootstrap", "0", "--law-out", law)
        written = json.loads(law.read_text())

        self.succeed("gen", "--law", law, "--num-processes", "16", "--num-experts", "64", "--num-topk", "6",
                     "--num-tokens", "256", "-o", self.folder / "routing.safetensors")
        found = json.loads(self.succeed("inspect", self.folder / "routing.safetensors", "--json", "-"))

        self.assertEqual((written["level"], written["provenance"]["num_ranks"]), ("rank", 16))
        loads = sorted(found["layers"][0]["ranks"][0]["rank"]["loads"])
        mean = sum(loads) / len(loads)
        report = self.fit(COUNTS, "--level", "rank", "--num-processes", "16", "--bootstrap", "0")
        recorded = report["levels"][0]["pooled"]["loads"]
        fitted = min(f["least_squares"]["sse"] for f in report["levels"][0]["pooled"]["fits"] if f["family"] == written["family"])
        self.assertLess(sum((load / mean - r) ** 2 for load, r in zip(loads, recorded)), 1.1 * fitted + 0.01)

    @unittest.skipUnless(RECORDINGS.exists(), f"{RECORDINGS} is not on this machine")
    def test_a_real_recording_has_windows_and_a_floor(self):
        report = self.fit(RECORDINGS / "law", "--layers", "1,2", "--num-processes", "8", "--bootstrap", "0")

        self.assertEqual([(w["level"], w["tokens"], w["windows"]) for w in report["windows"]],
                         [("expert", 1024, 16), ("rank", 1024, 16)])
        for window in report["windows"]:
            self.assertGreater(window["factor"]["mean"], window["factor"]["floor"])

    def test_ranks_that_do_not_divide_the_experts_are_noted(self):
        trace = self.trace([[10 + expert % 7 for expert in range(60)]])

        report = self.fit(trace, "--bootstrap", "0")

        self.assertEqual([level["num_ranks"] for level in report["levels"]], [None])
        self.assertTrue(any("none of 8, 16 and 32 divides 60 experts" in note for note in report["notes"]), report["notes"])
        self.refuse("--num-processes", "fit", trace, "--level", "rank", "--bootstrap", "0")

    def test_replaces_no_input(self):
        trace = self.trace([[5, 3, 9, 1]])
        before = trace.read_text()

        for output in ("--json", "--html", "--law-out"):
            self.refuse("it is also an input", "fit", trace, "--level", "expert", "--bootstrap", "0", output, trace)

        self.assertEqual(trace.read_text(), before)

    def test_bad_recordings(self):
        good = [5, 3, 9, 1]
        for problem, layers in [("layer 1 has equal loads", [good, [4, 4, 4, 4]]), ("-2", [[5, -2, 3, 4]]),
                                ("nan", [[5, "nan", 3, 4]])]:
            with self.subTest(problem):
                self.refuse(problem, "fit", self.trace(layers), "--bootstrap", "0", "--level", "expert")
        for layers in ([], [[7]], [[0, 0, 0]]):  # no rows, one expert, nothing counted
            with self.subTest(layers):
                self.refuse("", "fit", self.trace(layers), "--bootstrap", "0", "--level", "expert")

    def test_bad_options(self):
        for problem, options in [
            ("--num-processes 24", ["--num-processes", "24"]),
            ("--level node", ["--level", "node"]),
            ("without --level rank", ["--level", "expert", "--num-processes", "8"]),
            ("--bootstrap 5", ["--bootstrap", "5"]),
            ("--bootstrap 1000000000", ["--bootstrap", "1000000000"]),
            ("--windows", ["--windows", "-1"]),
            ("several laws", ["--level", "rank", "--law-out", self.folder / "law.json", "--bootstrap", "0"]),
            ("--law-out", ["--law-out", "-"]),
            ("--json", ["--json", self.folder / "no" / "folder.json"]),
            ("counts.csv is no valid JSON", ["--placement", COUNTS]),
        ]:
            with self.subTest(problem):
                self.refuse(problem, "fit", COUNTS, *options)


if __name__ == "__main__":
    unittest.main()
