"""test_library.py BUILD EPSKEW CXX: installs the C++ library and builds the example of another project against it."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "cpp"
BUILD, EPSKEW, COMPILER = sys.argv[1:4]


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(done.stdout + done.stderr)
    return done.stdout


class InstalledLibrary(unittest.TestCase):
    def test_example_builds_against_it_and_makes_the_routing_of_gen(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            run("cmake", "--install", BUILD, "--component", "library", "--prefix", folder / "prefix")
            run("cmake", "-G", "Ninja", "-S", EXAMPLE, "-B", folder / "build", f"-DCMAKE_PREFIX_PATH={folder / 'prefix'}",
                f"-DCMAKE_CXX_COMPILER={COMPILER}")
            run("cmake", "--build", folder / "build")
            program = folder / "build" / "routing_loads"

            said = run(program, "2.5")
            refused = subprocess.run([program, "99"], capture_output=True, text=True, check=False)
            made = run(EPSKEW, "gen", "--imbalance-factors", "2.5", "--num-masked", "0", "--seed", "7", "-o",
                       folder / "r.safetensors")

        digest = said.split()[-1]
        self.assertIn("factor 2.500", said)
        self.assertEqual(said.count("selections"), 8)
        self.assertIn(digest, made)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("8", refused.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
