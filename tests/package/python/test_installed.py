"""The package as a user has it: installed from the wheel, alone."""

import importlib.metadata
import pathlib
import subprocess
import sys
import unittest

import epskew


class InstalledPackage(unittest.TestCase):
    def test_is_the_wheel_and_not_the_source(self):
        place = pathlib.Path(epskew.__file__)

        self.assertIn(pathlib.Path(sys.prefix), place.parents)
        self.assertTrue((place.parent / "py.typed").exists())

    def test_has_the_version_of_the_library(self):
        self.assertEqual(importlib.metadata.version("epskew"), epskew.__version__)

    def test_has_every_public_name_and_a_text_for_it(self):
        for name in epskew.__all__:
            with self.subTest(name=name):
                self.assertTrue(getattr(epskew, name).__doc__ or name == "__version__")

    def test_needs_numpy_only_when_arrays_are_asked_for(self):
        script = ("import sys, epskew; print('numpy' in sys.modules, 'torch' in sys.modules); "
                  "epskew.routing(num_tokens=16).topk_idx; print('numpy' in sys.modules, 'torch' in sys.modules)")

        said = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout

        self.assertEqual(said.split(), ["False", "False", "True", "False"])


if __name__ == "__main__":
    unittest.main()
