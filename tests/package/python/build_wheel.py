"""Builds the wheel and installs it: build_wheel.py PYTHON FOLDER [MODULE].

PYTHON is that of tools/python-env. Into FOLDER go the wheel and two environments: "clean" with the wheel and numpy and
nothing else, as a user gets them, and "torch", which sees Debian's torch. With MODULE, the compiled module of the build
under test, the wheel is made around that; without, it is compiled from the source, CUDA left out, which takes minutes.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
EXPECTED = ("epskew/__init__.py", "epskew/_core.pyi", "epskew/py.typed", "epskew/adapters/__init__.py",
            "epskew/bench/__main__.py")


def run(*command):
    subprocess.run([str(word) for word in command], check=True, cwd=ROOT, stdin=subprocess.DEVNULL)


def make_environment(python, folder, wheel, *options):
    shutil.rmtree(folder, ignore_errors=True)
    run(python, "-m", "venv", *options, folder)
    # numpy lies in the folder that tools/python-env filled, so that no test needs a network.
    run(folder / "bin/python", "-m", "pip", "install", "--quiet", "--no-index", "--find-links", ROOT / "build/python/wheels",
        wheel)


def source_options():
    return ["--config-settings=cmake.define.EPSKEW_ENABLE_CUDA=OFF"]


def module_options(folder, module):
    return [f"--config-settings=cmake.define.EPSKEW_PREBUILT_MODULE={module}",
            f"--config-settings=build-dir={folder / 'build'}"]


def main(python, folder, module=None):
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.whl"):
        old.unlink()
    run(python, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "--quiet", "-w", folder,
        *(source_options() if module is None else module_options(folder, module)))
    (wheel,) = folder.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    missing = [name for name in EXPECTED if name not in names]
    foreign = [name for name in names if not re.match(r"epskew(-[\d.]+\.dist-info)?/", name)]
    if missing or foreign or not any(re.match(r"epskew/_core\..*so$", name) for name in names):
        sys.exit(f"{wheel.name} lacks {missing} or the module, or holds what is not its own: {foreign}")
    make_environment("/usr/bin/python3", folder / "clean", wheel)
    make_environment("/usr/bin/python3", folder / "torch", wheel, "--system-site-packages")
    print(f"built and installed {wheel.name}")


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]).resolve(), *sys.argv[3:])
