import json
import os
import struct
import unittest

from program import DATA, RECORDINGS, ProgramTest, write_esft_layer


def read_safetensors(data):
    """Header and tensors, by the format's description alone."""
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    codes = {"I64": "q", "F32": "f"}
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            code = codes[entry["dtype"]]
            tensors[name] = struct.unpack(f"<{(end - begin) // struct.calcsize(code)}{code}", data[begin:end])
    return header, tensors


class GenTest(ProgramTest):
    def gen(self, *arguments):
        file = self.folder / "routing.safetensors"
        self.succeed("gen", *arguments, "-o", file)
        return read_safetensors(file.read_bytes())

    def loads(self, header, tensors):
        experts, ranks = int(header["__metadata__"]["num_experts"]), header["topk_idx"]["shape"][0]
        loads = [0] * ranks
        for expert in tensors["topk_idx"]:
            if expert >= 0:
                loads[expert * ranks // experts] += 1
        return loads

    def test_the_default_shape_at_an_exact_factor(self):
        header, tensors = self.gen("--imbalance-factor", "3.0")

        self.assertEqual(header["topk_idx"], {**header["topk_idx"], "dtype": "I64", "shape": [8, 128, 8]})
        self.assertEqual(header["topk_weights"]["dtype"], "F32")
        self.assertEqual(tensors["tokens_per_rank"], (128,) * 8)
        loads = self.loads(header, tensors)
        self.assertEqual(sum(loads), 8 * (128 * 8 - 10))
        self.assertEqual(max(loads), round(3.0 * sum(loads) / 8))
        spec = json.loads(header["__metadata__"]["spec"])
        self.assertEqual(spec["law"]["family"], "lognormal")
        self.assertEqual(spec["factor"], 3.0)
        self.assertEqual(spec["num_masked"], 10)

    def test_the_default_mask_leaves_no_rank_empty(self):
        for tokens, masked in (("1", 0), ("2,0,16", 10), ("2,0,1", 0)):
            header, _ = self.gen("--num-tokens-per-rank", tokens, "--num-experts", "24", "--num-topk", "8")
            self.assertEqual(json.loads(header["__metadata__"]["spec"])["num_masked"], masked, tokens)

    def test_unequal_tokens_are_padded(self):
        header, tensors = self.gen("--num-tokens-per-rank", "2,0", "--num-experts", "4", "--num-topk", "2", "--num-masked", "0")

        self.assertEqual(header["topk_idx"]["shape"], [2, 2, 2])
        self.assertEqual(tensors["tokens_per_rank"], (2, 0))
        self.assertEqual(tensors["topk_idx"][4:], (-1,) * 4)
        self.assertEqual(tensors["topk_weights"][4:], (0.0,) * 4)

    def test_a_model_gives_the_shape_and_flags_override_it(self):
        header, _ = self.gen("--model", "qwen3-235b", "--num-topk", "4")

        self.assertEqual(header["topk_idx"]["shape"], [8, 128, 4])
        self.assertEqual(header["__metadata__"]["num_experts"], "128")

    def test_the_same_flags_give_the_same_file(self):
        arguments = ("gen", "--imbalance-factor", "2", "--seed", "7", "-o", "-")

        self.assertEqual(self.succeed(*arguments), self.succeed(*arguments))
        self.assertNotEqual(self.succeed(*arguments), self.succeed(*arguments, "--num-masked", "0"))

    def test_a_recording_becomes_a_routing(self):
        header, tensors = self.gen("--trace", DATA / "mixtral.jsonl", "--num-processes", "2", "--num-tokens", "1")

        self.assertEqual(tensors["topk_idx"], (3, 0, 1, 2))
        self.assertEqual(json.loads(header["__metadata__"]["spec"])["layer"], 7)

    def test_counts_become_a_routing_with_their_totals(self):
        header, tensors = self.gen("--trace", DATA / "trtllm", "--layers", "3", "--num-processes", "1", "--num-tokens", "7")

        self.assertEqual(header["topk_idx"]["shape"], [1, 7, 2])
        self.assertEqual([tensors["topk_idx"].count(expert) for expert in range(4)], [4, 4, 4, 2])

    def test_a_folder_of_layers_becomes_a_routing(self):
        for layer in (2, 10):
            write_esft_layer(self.folder / f"expert_weights_{layer}.txt",
                             [[((layer * token + 5 * k) % 16, 0.125 * (k + 1)) for k in range(3)] for token in range(1, 9)])
        header, tensors = self.gen("--trace", self.folder, "--layers", "10", "--num-experts", 16, "--num-topk", 3,
                                   "--num-processes", 2, "--num-tokens", 4)

        self.assertEqual(tensors["topk_idx"], tuple((10 * token + 5 * k) % 16 for token in range(1, 9) for k in range(3)))
        self.assertEqual(tensors["topk_weights"], (0.125, 0.25, 0.375) * 8)

    @unittest.skipUnless(RECORDINGS.exists(), f"{RECORDINGS} is not on this machine")
    def test_a_real_recording(self):
        header, tensors = self.gen("--trace", RECORDINGS / "law", "--layers", "1")

        self.assertEqual(header["topk_idx"]["shape"], [8, 128, 6])
        self.assertEqual(tensors["topk_idx"][:6], (8, 26, 56, 57, 60, 11))

    def test_bad_flags(self):
        for problem, *arguments in [
            ("--distribution zipf is unknown (no such family); known: uniform, lognormal", "--distribution", "zipf"),
            ("imbalance factor 0.5 is impossible", "--imbalance-factor", "0.5"),
            ("imbalance factor nan is impossible", "--imbalance-factor", "nan"),
            ("is out of reach", "--imbalance-factor", "9"),
            ("--num-experts 289 does not divide among 8 ranks", "--num-experts", "289"),
            ("--num-topk 9 is out of range (a token's experts are distinct, there are 8)", "--num-topk", "9", "--num-experts", "8"),
            ("--hidden 7000 is not a multiple of 128", "--hidden", "7000"),
            ("--num-processes 0 is out of range", "--num-processes", "0"),
            ("--num-tokens 3000000000 is out of range", "--num-tokens", "3000000000"),
            ("needs 158329.7 GB", "--num-processes", "1024", "--num-experts", "1024", "--num-tokens", "2147483647"),
            ("--num-tokens-per-rank has 2 numbers (--num-processes is 3)", "--num-processes", "3", "--num-tokens-per-rank", "1,2"),
            ("--num-tokens and --num-tokens-per-rank are both given", "--num-tokens", "1", "--num-tokens-per-rank", "1,2"),
            ("--model gpt-9 is unknown (no such shape); known: deepseek-v3", "--model", "gpt-9"),
            ("--law-level token is unknown (no such choice); known: rank, expert", "--law-level", "token"),
            ("--placement needs loads of experts", "--placement", "spread", "--imbalance-factor", "2"),
            ("--distribution is given without --imbalance-factor", "--distribution", "gamma"),
            ("--hot-rank is given without", "--hot-rank", "1"),
            ("--law-level is given without", "--law-level", "expert"),
            ("--sampling is given without", "--sampling", "multinomial"),
            ("--sampling and --pattern k-hot are both given", "--pattern", "k-hot", "--sampling", "multinomial"),
            ("--distribution and --pattern burst are both given", "--pattern", "burst", "--distribution", "gamma",
             "--imbalance-factor", "2"),
            ("--law-level and --pattern k-hot are both given", "--pattern", "k-hot", "--law-level", "expert"),
            ("--hot-rank and --pattern k-hot are both given", "--pattern", "k-hot", "--hot-rank", "1"),
            ("--law-level rank and --sampling multinomial", "--law-level", "rank", "--sampling", "multinomial",
             "--imbalance-factor", "2"),
            ("--hot-experts is given without --pattern k-hot", "--hot-experts", "4"),
            ("--hot-fraction is given without --pattern k-hot", "--hot-fraction", "0.5", "--pattern", "hot-rank"),
            ("--step is given without --pattern rotating or burst", "--step", "0"),
            ("--burst-period is given without --pattern burst", "--burst-period", "4", "--pattern", "rotating"),
            ("--layers is given without --trace", "--layers", "all"),
            ("--windows is given without --trace", "--windows", "1"),
            ("--deal is given without --trace", "--deal", "contiguous"),
            ("--npy is given without --trace", "--npy", "ids"),
            ("--max-file-bytes is given without --trace", "--max-file-bytes", "9"),
            ("--drop-constant is given without --trace", "--drop-constant"),
            ("--num-masked 9 is more than rank 0 has (top-8 of 1 tokens are 8 entries)", "--num-tokens", "1", "--num-masked", "9"),
            ("--num-masked 17 is more than rank 2 has", "--num-tokens-per-rank", "9,0,2", "--num-masked", "17",
             "--num-experts", "36"),
            ("--seed -1 is negative", "--seed", "-1"),
            ("--pattern zigzag is unknown", "--pattern", "zigzag"),
            ("--pattern matrix and --matrix FILE go together", "--pattern", "matrix"),
            ("--hot-rank 8 is out of range (0 to 7", "--hot-rank", "8"),
            ("/nowhere/law.json", "--law", "/nowhere/law.json"),
            ("/nowhere/trace does not exist", "--trace", "/nowhere/trace"),
            ("--model gpt-9 is unknown (no such shape); known: deepseek-v3", "--model", "gpt-9", "--trace", DATA / "counts.csv"),
            *((f"{flag} and --trace are both given", "--trace", DATA / "counts.csv", flag, value) for flag, value in
              [("--num-masked", "1"), ("--matrix", "m.csv"), ("--hot-experts", "1"), ("--hot-fraction", "0.5"), ("--step", "1"),
               ("--burst-period", "2")]),
            ("--pattern and --trace are both given", "--trace", DATA / "counts.csv", "--num-topk", "1", "--pattern", "k-hot"),
            ("the trace gives 2 rounds", "--trace", DATA / "trtllm", "--num-processes", "1"),
            ("layer 7 has 2 recorded tokens (1 windows of 8 tokens need 8)", "--trace", DATA / "mixtral.jsonl", "--num-processes", "2", "--num-tokens", "4"),
        ]:
            with self.subTest(arguments):
                self.refuse(problem, "gen", *arguments, "-o", self.folder / "routing.safetensors")

    def test_a_cold_step_of_a_burst_is_named(self):
        cold = self.succeed("gen", "--pattern", "burst", "--imbalance-factor", 3, "-o", self.folder / "cold")
        hot = self.succeed("gen", "--pattern", "burst", "--imbalance-factor", 3, "--step", 7, "-o", self.folder / "hot")

        self.assertIn(b"note: step 0 is balanced: a burst of period 8 is hot in steps 7, 15", cold)
        self.assertIn(b"factor 1.0000", cold)
        self.assertNotIn(b"note", hot)
        self.assertIn(b"factor 3.0000", hot)

    @unittest.skipIf(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") > 68 << 30, "this machine has the memory")
    def test_more_ranks_than_a_traffic_matrix_has_room_for(self):
        self.refuse("on 65536 ranks needs 68.7 GB", "gen", "--num-processes", "65536", "--num-experts", "65536",
                    "--num-tokens", "1", "--num-masked", "0", "-o", self.folder / "r")

    def test_k_hot_experts_live_where_they_are_placed(self):
        arguments = ("--pattern", "k-hot", "--hot-experts", 2, "--hot-fraction", 0.2, "--num-masked", 0)
        contiguous = self.loads(*self.gen(*arguments, "--placement", "contiguous"))
        spread = self.loads(*self.gen(*arguments, "--placement", "spread"))

        self.assertEqual(sorted(load > 1100 for load in contiguous), [False] * 7 + [True])
        self.assertEqual(sorted(load > 1100 for load in spread), [False] * 6 + [True] * 2)

    def test_an_unwritable_place_is_found_before_the_work(self):
        self.refuse("-o /nowhere/r.safetensors cannot be written", "gen", "-o", "/nowhere/r.safetensors")
        self.refuse("it is a folder", "gen", "-o", self.folder)


if __name__ == "__main__":
    unittest.main()
