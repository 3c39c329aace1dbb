#!/usr/bin/env python3
"""Is the oracle right about DeepEP? checks.py [--json FILE] [--only WORD]

Small jobs on one GPU: every number format and way of DeepEP, which must pass, and every fault of tests/adapters/faulty.py
planted in its output, which must be found (exit code 3). Several run at once, since what they take does not matter. FILE
gets each command line, exit code and message, and what epskew was built from. Exit code 1 where one ended in another way.
"""
import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field

from provenance import provenance

FAULTY = pathlib.Path(__file__).resolve().parents[3] / "tests" / "adapters"
RIGHT, FOUND = 0, 3
SMALL = ["--num-experts", "64", "--iterations", "4", "--passes", "1", "--imbalance-factors", "1", "--no-kernels"]
ALONE = ["--num-processes", "1", "--num-tokens", "128", *SMALL]
SHARED = ["--num-processes", "2", "--num-tokens", "32", "--modes", "split", *SMALL]


@dataclass
class Case:
    name: str
    adapter: str
    options: list[str]
    wanted: int  #: exit code
    process: subprocess.Popen = field(init=False)

    @property
    def arguments(self):
        return ["-m", "epskew.bench", "--adapter", self.adapter, *self.options]


def right_ones():
    for rule in ("bf16", "fp8", "fp8_pow2", "fp8_ue8m0"):
        yield Case(f"dispatch in {rule}", "deepep", [*ALONE, "--dispatch-format", rule], RIGHT)
    yield Case("results written in place", "deepep", [*ALONE, "--variant", "zero_copy=on"], RIGHT)
    yield Case("combine in LogFMT", "deepep", [*ALONE, "--use-logfmt"], RIGHT)
    yield Case("combine in LogFMT, 2 ranks, halves", "deepep", [*SHARED, "--use-logfmt"], RIGHT)
    yield Case("no fault planted", "faulty:FaultyDeepEp", SHARED, RIGHT)


def faults():
    planted = {"swap": "two tokens swapped", "scale": "a scale doubled", "drop": "a message dropped",
               "combine": "a token halved in combine"}
    for fault, name in planted.items():
        yield Case(name, "faulty:FaultyDeepEp", [*SHARED, "--variant", f"fault={fault}"], FOUND)
    yield Case("stops sending from its tenth dispatch on", "faulty:ForgetfulDeepEp", [*SHARED, "--variant", "fault=dispatch"],
               FOUND)


def start(case, folder):
    path = os.pathsep.join([str(FAULTY), os.environ.get("PYTHONPATH", "")])
    errors = open(folder / f"{case.name}.txt", "w", encoding="utf-8")
    # A session of its own: what it has started must not keep the GPU when it is ended.
    case.process = subprocess.Popen([sys.executable, *case.arguments], env=os.environ | {"PYTHONPATH": path},
                                    stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True)
    errors.close()


def outcome(case, folder, limit_s):
    try:
        case.process.wait(limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(case.process.pid, signal.SIGKILL)
        case.process.wait()
    said = (folder / f"{case.name}.txt").read_text(encoding="utf-8", errors="replace").splitlines()
    message = next((line for line in said if line.startswith("epskew: ")), "")
    code = case.process.returncode
    if code != case.wanted:
        print("\n".join(said[-12:]), flush=True)
    print(f"{'as wanted' if code == case.wanted else 'NOT AS WANTED'}: {case.name}: exit code {code} {message}", flush=True)
    return {"name": case.name, "argv": ["python", *case.arguments], "exit_code": code, "wanted_exit_code": case.wanted,
            "message": message or None}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--only", default="", help="cases with this in their name")
    parser.add_argument("--limit", type=int, default=100, help="seconds for a group of cases")
    options = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for group in (right_ones(), faults()):
            cases = [case for case in group if options.only in case.name]
            for case in cases:
                start(case, folder)
            found += [outcome(case, folder, options.limit) for case in cases]
    if options.json:
        options.json.write_text(json.dumps(provenance() | {"cases": found}, indent=1) + "\n", encoding="utf-8")
    sys.exit(any(each["exit_code"] != each["wanted_exit_code"] for each in found))


if __name__ == "__main__":
    main()
