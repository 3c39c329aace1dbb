#!/usr/bin/env python3
"""Fuzzes the trace readers for a while (needs clang): tests/fuzz/run.py [SECONDS]. Findings stay in build/fuzz/findings."""

import pathlib
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[2]
DATA = SOURCE / "tests/unit/trace/data"
BUILD = SOURCE / "build/fuzz"
# In the order of reader_names (one_input.hpp): the first byte of an input chooses the reader.
SUFFIXES = (".txt", ".csv", ".jsonl", ".npy", ".safetensors")


def write_seeds(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for sample in DATA.rglob("*"):
        if sample.suffix in SUFFIXES:
            (folder / sample.name).write_bytes(bytes([SUFFIXES.index(sample.suffix)]) + sample.read_bytes())


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    if not (BUILD / "build.ninja").exists():
        subprocess.run(["cmake", "--preset", "fuzz"], cwd=SOURCE, stdout=subprocess.DEVNULL, check=True)
    subprocess.run(["cmake", "--build", BUILD, "--target", "fuzz_read_trace", "--", "--quiet"], check=True)
    write_seeds(BUILD / "seeds")
    for folder in ("corpus", "findings"):
        (BUILD / folder).mkdir(exist_ok=True)
    limits = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-malloc_limit_mb=512", "-max_len=4096"]
    return subprocess.run([BUILD / "tests/fuzz/fuzz_read_trace", *limits, f"-artifact_prefix={BUILD / 'findings'}/",
                           BUILD / "corpus", BUILD / "seeds"]).returncode


if __name__ == "__main__":
    sys.exit(main())
