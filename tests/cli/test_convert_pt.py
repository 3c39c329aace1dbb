import importlib.util
import subprocess
import sys
import unittest

from program import SOURCE, ProgramTest

SCRIPT = SOURCE / "tools/convert_pt.py"
spec = importlib.util.spec_from_file_location("convert_pt", SCRIPT)
convert_pt = importlib.util.module_from_spec(spec)
spec.loader.exec_module(convert_pt)

HAS_TORCH = importlib.util.find_spec("torch") is not None


class ConvertTest(ProgramTest):
    def write(self, dumps):
        shape, values = convert_pt.convert(dumps, ["dump.pt"] * len(dumps))
        file = self.folder / "out.npy"
        convert_pt.write_whole(file, convert_pt.npy_bytes(shape, values))
        return file

    def inspect(self, file, content):
        import json

        return json.loads(self.succeed("inspect", file, "--npy", content, "--num-processes", "1", "--json", "-"))

    def test_counts_of_stat_mode(self):
        file = self.write([{"rank": 0, "logical_count": [[[0, 0], [1, 2]], [[0, 0], [3, 4]]]}])

        found = self.inspect(file, "counts")

        self.assertEqual([(l["layer"], l["expert"]["loads"]) for l in found["layers"]], [(1, [4, 6])])

    def test_tokens_of_per_token_mode_in_logical_ids(self):
        mapping = [[0, 1, 2, 0], [2, 1, 0, 0]]  # two layers, four physical experts that hold three logical ones
        record = {"topk_ids_of_layer": [[[3, 1, -1], [2, 0, -1]], [[0, 1, -1], [2, 1, -1]]]}
        dump = {"records": [record], "last_physical_to_logical_map": mapping}

        shape, values = convert_pt.convert([dump, dump], ["a.pt", "b.pt"])

        self.assertEqual(shape, [4, 2, 2])
        self.assertEqual(values[:8], [0, 1, 2, 1, 2, 0, 0, 1])
        found = self.inspect(self.write([dump, dump]), "ids")
        self.assertEqual([l["expert"]["loads"] for l in found["layers"]], [[4, 2, 2], [2, 4, 2]])

    def test_what_is_no_dump(self):
        for problem, dump in [
            ("is no SGLang dump", {"weights": 1}),
            ("logical_count has shape [2]", {"logical_count": [1, 2]}),
            ("names physical expert 7", {"records": [{"topk_ids_of_layer": [[[7]]]}], "last_physical_to_logical_map": [[0]]}),
            ("no tokens in any record", {"records": [], "last_physical_to_logical_map": [[0]]}),
        ]:
            with self.subTest(problem):
                with self.assertRaises(convert_pt.Refused) as caught:
                    convert_pt.convert([dump], ["dump.pt"])
                self.assertIn(problem, str(caught.exception))

    @unittest.skipIf(HAS_TORCH, "torch is installed")
    def test_without_torch_it_says_what_to_do(self):
        result = subprocess.run([sys.executable, SCRIPT, "x.pt", "-o", self.folder / "out.npy"], capture_output=True, timeout=60)

        self.assertEqual(result.returncode, 2)
        self.assertIn(b"torch is not installed", result.stderr)

    @unittest.skipUnless(HAS_TORCH, "torch is not installed")
    def test_a_file_of_torch_save(self):
        import torch

        torch.save({"rank": 0, "logical_count": torch.tensor([[[1, 2]]])}, self.folder / "dump.pt")

        result = subprocess.run([sys.executable, SCRIPT, self.folder / "dump.pt", "-o", self.folder / "out.npy"], capture_output=True, timeout=300)

        self.assertEqual(result.returncode, 0, result.stderr.decode())
        self.assertEqual(self.inspect(self.folder / "out.npy", "counts")["layers"][0]["expert"]["loads"], [1, 2])


if __name__ == "__main__":
    unittest.main()
