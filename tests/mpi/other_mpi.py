"""The sources built for another MPI than the test suite's own: in a folder that whoever wants these tests has made once, since a
second build of everything takes longer than all other tests."""

import shutil
import subprocess


def why_not(folder, programs, package, options):
    """None where `folder` is such a build and `programs` are installed, else what is missing and how to get it."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        return f"{', '.join(missing)} is missing; install {package}"
    cache = folder / "CMakeCache.txt"
    if any(value(cache, name) != wanted for name, wanted in options.items()):
        flags = " ".join(f"-D{name}={wanted}" for name, wanted in options.items())
        return f"there is no build for it; make one: cmake --preset release -B build/{folder.name} {flags}"
    return None


def value(cache, name):
    """Of a CMake variable; empty where it has none, or there is no cache."""
    if not cache.exists():
        return ""
    return next((line.partition("=")[2] for line in cache.read_text().splitlines() if line.startswith(name + ":")), "")


def build(folder, target):
    """Brings `target` up to date; raises with what was said."""
    command = ["cmake", "--build", str(folder), "--target", target]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed with {done.returncode}\n{done.stdout[-4000:]}")
