#!/usr/bin/env python3
"""That a program runs on other distributions: check_self_contained.py PROGRAM [MOST_MB]

It may need only what every Linux with glibc 2.34 (2021) has, and be no larger than MOST_MB (64).
"""
import os
import re
import subprocess
import sys

EVERYWHERE = {"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "ld-linux-x86-64.so.2", "libgcc_s.so.1",
              "libudev.so.1"}
NEWEST_GLIBC = (2, 34)


def readelf(option, program):
    return subprocess.run(["readelf", "-W", option, program], check=True, capture_output=True, text=True).stdout


def problems(program, most_mb):
    megabytes = os.path.getsize(program) / 1e6
    if megabytes > most_mb:
        yield f"it has {megabytes:.1f} MB (at most {most_mb})"
    for library in re.findall(r"\(NEEDED\).*\[(.*)\]", readelf("-d", program)):
        if library not in EVERYWHERE:
            yield f"it needs {library}"
    for version in sorted(set(re.findall(r"Name: GLIBC_(\d+(?:\.\d+)+)", readelf("-V", program)))):
        if tuple(map(int, version.split("."))) > NEWEST_GLIBC:
            yield f"it needs glibc {version}"


def main():
    program, most_mb = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 64
    found = list(problems(program, most_mb))
    for problem in found:
        print(f"{program}: {problem}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
