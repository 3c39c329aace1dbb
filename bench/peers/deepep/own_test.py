#!/usr/bin/env python3
"""DeepEP's own low-latency test with our routing: own_test.py TEST [--json FILE] [test's arguments…]

TEST is tests/test_low_latency.py of DeepEP, with its tests/utils.py beside it. The three lines of docs/adapters.md go into a
copy beside it (examples/skew_deepep_test.py), which is run with what arguments are left. FILE gets what it printed and what
epskew was built from.
"""
import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys

from provenance import provenance

ADD_LINES = pathlib.Path(__file__).resolve().parents[3] / "examples" / "skew_deepep_test.py"


def run(command, limit_s):
    """(exit code, lines); in a session of its own, since its processes must not outlive it."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True) as process:
        try:
            said, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate()
    return process.returncode, said.splitlines()


def kernel_times(lines):
    """Of rank 0, in microseconds: the means that the test's own profiling gives."""
    text = "\n".join(line for line in lines if "[rank 0]" in line)
    number = r"([\d.]+)"
    fused = re.search(rf"Dispatch bandwidth: .*avg_t={number} us \| Combine bandwidth: .*avg_t={number} us", text)
    halves = re.search(rf"Dispatch send/recv time: {number} \+ {number} us \| Combine send/recv time: {number} \+ {number} us", text)
    names = ("dispatch", "combine"), ("dispatch_send", "dispatch_recv", "combine_send", "combine_recv")
    return {name: float(us) for keys, found in zip(names, (fused, halves)) if found for name, us in zip(keys, found.groups())}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("test", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--limit", type=int, default=100, help="seconds")
    options, rest = parser.parse_known_args()
    skewed = options.test.with_name("skewed_low_latency.py")
    skewed.write_text(subprocess.run([sys.executable, ADD_LINES, options.test], capture_output=True, text=True, check=True).stdout)
    code, lines = run([sys.executable, skewed, *rest], options.limit)
    print("\n".join(lines), flush=True)
    if options.json:
        record = {"argv": ["python", skewed.name, *rest], "exit_code": code, "mean_us": kernel_times(lines), "output": lines}
        options.json.write_text(json.dumps(provenance() | record, indent=1) + "\n", encoding="utf-8")
    sys.exit(code != 0)


if __name__ == "__main__":
    main()
