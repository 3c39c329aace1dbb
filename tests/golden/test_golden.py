"""The output formats, byte for byte: test_golden.py RENDERER [--regenerate].

RENDERER writes the sample record in every format into a folder; the files are compared with those here. After an intended
change run the build target `regenerate` and review the difference.
"""
import pathlib
import subprocess
import sys
import tempfile
import unittest

from validate_schema import first_problem, load

HERE = pathlib.Path(__file__).parent
FILES = ["sample.csv", "sample.json", "sample.txt", "sample.html"]
RENDERER = None


def render(folder):
    subprocess.run([RENDERER, folder], check=True)


class Golden(unittest.TestCase):
    maxDiff = None

    def test_every_format_is_as_recorded(self):
        with tempfile.TemporaryDirectory() as folder:
            render(folder)
            self.assertEqual(sorted(FILES), sorted(p.name for p in pathlib.Path(folder).iterdir()))
            for name in FILES:
                with self.subTest(name):
                    self.assertEqual((HERE / name).read_text(), (pathlib.Path(folder) / name).read_text())

    def test_the_result_file_fits_the_schema(self):
        self.assertIsNone(first_problem(load(HERE / "sample.json")))

    def test_the_schema_notices_damage(self):
        damaged = load(HERE / "sample.json")
        damaged["rounds"][0]["load"]["rank"]["factor"] = None
        self.assertIn("$.rounds[0].load.rank.factor", first_problem(damaged))

        surplus = load(HERE / "sample.json")
        surplus["rounds"][0]["timing"]["dispatch"]["undocumented"] = 1
        self.assertIn("undocumented", first_problem(surplus))

        missing = load(HERE / "sample.json")
        del missing["config"]["backend"]
        self.assertIn("backend", first_problem(missing))


if __name__ == "__main__":
    RENDERER = sys.argv[1]
    if "--regenerate" in sys.argv:
        render(HERE)
    else:
        unittest.main(argv=sys.argv[:1])
