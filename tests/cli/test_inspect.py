import json
import unittest

from program import DATA, RECORDINGS, ProgramTest, write_esft_layer

# domain -> (experts, 8, 16, 32 ranks): "mean / worst" of the factor over the 26 layers, as that folder's README says.
PUBLISHED = {
    "law": ("3.52 / 6.87", "1.39 / 2.32", "1.70 / 2.41", "2.35 / 4.38"),
    "intent": ("3.81 / 4.68", "1.44 / 1.73", "1.80 / 2.52", "2.45 / 3.04"),
}


class InspectTest(ProgramTest):
    def inspect(self, *arguments):
        return json.loads(self.succeed("inspect", *arguments, "--json", "-"))

    def test_the_factors_of_a_recording_are_those_of_its_counts(self):
        counts = {}
        for layer in (3, 20):
            tokens = [[((token * token + layer * k) % 61 % 32, 0.5) for k in (1, 2)] for token in range(200)]
            tokens = [token for token in tokens if token[0][0] != token[1][0]]
            write_esft_layer(self.folder / f"expert_weights_{layer}.txt", tokens)
            counts[layer] = [sum(expert == e for token in tokens for e, _ in token) for expert in range(32)]
        found = self.inspect(self.folder, "--num-topk", 2, "--num-experts", 32, "--num-processes", "4,32")

        self.assertEqual([layer["layer"] for layer in found["layers"]], [3, 20])
        for layer in found["layers"]:
            own = counts[layer["layer"]]
            self.assertEqual(layer["expert"]["loads"], own)
            self.assertEqual(layer["ranks"][0]["rank"]["loads"], [sum(own[8 * r : 8 * r + 8]) for r in range(4)])
            self.assertAlmostEqual(layer["ranks"][1]["rank"]["factor"], max(own) / (sum(own) / 32))

    @unittest.skipUnless(RECORDINGS.exists(), f"{RECORDINGS} is not on this machine")
    def test_the_published_figures(self):
        for domain, expected in PUBLISHED.items():
            with self.subTest(domain):
                summary = self.inspect(RECORDINGS / domain)["summary"]

                factors = [summary["expert"]["factor"]] + [at["factor"] for at in summary["ranks"]]
                self.assertEqual(tuple(f"{f['mean']:.2f} / {f['worst']:.2f}" for f in factors), expected)

    def test_every_metric_of_a_small_recording(self):
        found = self.inspect(DATA / "esft", "--num-topk", "3", "--num-processes", "2")

        self.assertEqual((found["format"], found["num_experts"], found["topk"]), ("esft", 4, 3))
        layer = found["layers"][1]
        self.assertEqual((layer["layer"], layer["tokens"], layer["selections"]), (11, 3, 9))
        self.assertEqual(layer["expert"]["loads"], [3, 3, 2, 1])
        at = layer["ranks"][0]
        self.assertEqual(at["rank"]["loads"], [6, 3])
        self.assertAlmostEqual(at["rank"]["factor"], 6 / 4.5)
        self.assertAlmostEqual(at["rank"]["max_vio"], 6 / 4.5 - 1)
        self.assertAlmostEqual(at["rank"]["balancedness"], 4.5 / 6)
        self.assertEqual(at["message"]["loads"], [3, 3])
        self.assertEqual(at["hot_over_others"], 1.0)

    def test_counts_have_no_messages(self):
        found = self.inspect(DATA / "counts.csv", "--num-experts", "4", "--num-processes", "2")

        at = found["layers"][0]["ranks"][0]
        self.assertEqual(at["rank"]["loads"], [5, 7])
        self.assertIsNone(at["message"])
        self.assertIsNone(at["uniform_floor"], "top-k is not known")

    def test_a_placement_moves_experts(self):
        found = self.inspect(DATA / "counts.csv", "--num-experts", "4", "--num-processes", "2", "--placement", "spread")

        self.assertEqual(found["layers"][0]["ranks"][0]["rank"]["loads"], [12, 0])

    def test_a_routing_file_is_shown_on_its_own_ranks(self):
        file = self.folder / "routing.safetensors"
        self.succeed("gen", "--imbalance-factor", "2", "--num-processes", "4", "-o", file)

        found = self.inspect(file)

        self.assertEqual([at["num_ranks"] for at in found["layers"][0]["ranks"]], [4])
        self.assertAlmostEqual(found["routing"]["load"]["rank"]["factor"], 2.0, places=3)
        self.assertEqual(found["routing"]["spec"]["seed"], 0)
        self.assertIn(b"hottest pair", self.succeed("inspect", file))

    def test_a_routing_file_is_read_once_and_within_the_limit(self):
        file = self.folder / "routing.safetensors"
        self.succeed("gen", "--num-processes", "4", "-o", file)
        size = file.stat().st_size

        self.succeed("inspect", file, "--max-file-bytes", size)
        self.refuse("is too large", "inspect", file, "--max-file-bytes", size - 1)

    def test_experts_that_no_usual_number_of_ranks_divides(self):
        counts = self.folder / "counts.csv"
        counts.write_text("".join(f"0,{expert},{expert + 1}\n" for expert in range(10)))
        found = self.inspect(counts)

        self.assertEqual([at["num_ranks"] for at in found["layers"][0]["ranks"]], [2, 5, 10])
        self.assertIn("shown on 2, 5, 10 ranks", "".join(found["notes"]))

    def test_the_table_goes_to_stderr_when_json_takes_stdout(self):
        result = self.run_program("inspect", DATA / "counts.csv", "--num-experts", "4", "--num-processes", "2", "--json", "-")

        json.loads(result.stdout)
        self.assertIn(b"mean over layers", result.stderr)

    def test_bad_input(self):
        pointer = self.folder / "lfs.npy"
        pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
        large = self.folder / "large.jsonl"
        large.touch()
        with open(large, "r+b") as file:
            file.truncate(1 << 40)  # sparse
        loop = self.folder / "loop"
        loop.symlink_to("loop")
        huge = self.folder / "trtllm"
        huge.mkdir()
        (huge / "meta_info.json").write_text('{"num_experts": 1e999}')
        (huge / "rank0.safetensors").symlink_to("nowhere")
        for problem, *arguments in [
            ("does not exist", "/nowhere/t.csv"),
            ("is a Git-LFS pointer", pointer),
            ("File name too long", self.folder / ("n" * 300)),
            ("Too many levels of symbolic links", loop),
            ("cannot be written (Too many levels of symbolic links)", DATA / "counts.csv", "--json", loop),
            ("holds a number that is out of range", huge),
            ("--seed -1 is negative", DATA / "counts.csv", "--seed", "-1"),
            ("is too large (1099511627776 bytes", large),
            ("holds no trace", self.folder),
            ("--num-processes 3 does not divide 4 experts", DATA / "counts.csv", "--num-experts", "4", "--num-processes", "3"),
            ("layer 9 is not in", DATA / "counts.csv", "--layers", "9"),
            ('--layers has "x"', DATA / "counts.csv", "--layers", "x"),
            ("(a multiple of top-k 6 was expected)", DATA / "esft/expert_weights_11.txt"),
            ("--json /nowhere/f.json cannot be written", DATA / "counts.csv", "--json", "/nowhere/f.json"),
        ]:
            with self.subTest(arguments):
                self.refuse(problem, "inspect", *arguments)


if __name__ == "__main__":
    unittest.main()
