"""What bench writes, with measured numbers blanked: test_bench_golden.py PROGRAM [--regenerate]."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

from blank import blank_csv, blank_json, blank_text

HERE = pathlib.Path(__file__).parent
PROGRAM = None


def run_bench():
    """Blanked outputs by the name of their golden file."""
    with tempfile.TemporaryDirectory() as folder:
        json_file, csv_file = pathlib.Path(folder) / "r.json", pathlib.Path(folder) / "r.csv"
        text = subprocess.run(
            [PROGRAM, "bench", "--backend", "reference", "--num-processes", "4", "--num-tokens", "16", "--hidden", "128",
             "--num-experts", "16", "--num-topk", "2", "--num-masked", "1", "--seed", "7", "--iterations", "20", "--warmup",
             "0", "--no-flush", "--json", json_file, "--csv", csv_file],
            check=True, capture_output=True, text=True).stdout
        return {"bench.txt": blank_text(text), "bench.json": blank_json(json_file.read_text()),
                "bench.csv": blank_csv(csv_file.read_text())}


class BenchGolden(unittest.TestCase):
    maxDiff = None

    def test_every_output_is_as_recorded(self):
        for name, text in run_bench().items():
            with self.subTest(name):
                self.assertEqual((HERE / name).read_text(), text)


if __name__ == "__main__":
    PROGRAM = sys.argv[1]
    if "--regenerate" in sys.argv:
        for name, text in run_bench().items():
            (HERE / name).write_text(text)
    else:
        unittest.main(argv=sys.argv[:1])
