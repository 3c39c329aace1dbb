#!/usr/bin/env python3
"""DeepEP and epskew's CUDA exchange through one runner on one GPU: adapters_h200.py RECORDING [--results FOLDER] [--parts …]

RECORDING is recorded routing of 26 layers with 64 experts, top-6 (`--trace`): `law` of ESFT's expert scores. Needs the Python package with CUDA and
deep_ep v1.2.1 in this Python. Writes FOLDER/h200-adapter-*.json, h200-boundary.json, h200-deepep-checks.json and
h200-deepep-test.json; of two GPUs two-gpus-*.json. A case that fails is said, the others go on, and the exit code is 1.
"""
import argparse
import os
import pathlib
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
COMMON = ["--num-masked", "0", "--passes", "2"]
OF_ONE = ["--num-experts", "256", "--num-processes", "1", "--iterations", "60", *COMMON]
OF_EIGHT = ["--num-experts", "256", "--num-processes", "8", "--iterations", "40", *COMMON]
REPLAY = ["--layers", "3,12,19,20", "--num-experts", "64", "--num-processes", "8", "--num-tokens", "128", "--iterations", "40", "--passes", "2"]
OF_TWO = ["--num-experts", "256", "--num-processes", "2", "--iterations", "40", *COMMON, "--imbalance-factors", "1", "1.5", "2"]
ON_ONE_GPU = ["deepep", "epskew", "boundary", "test", "checks"]
BENCH = ["-m", "epskew.bench", "--adapter"]
OWN = ["-c", "import epskew, sys; plan = epskew.plan_bench(sys.argv[1:]); "
       "result = epskew.run_bench(plan, backend='cuda'); result.save(plan.json); print(result.tables())"]


def measurements(recording):
    """Command line by name; each writes h200-adapter-NAME.json."""
    factors = ["--imbalance-factors", "1", "2", "3", "4"]
    hot = ["--pattern", "hot-rank", "--imbalance-factors", "2.94"]
    replay = ["--trace", recording, *REPLAY]
    return {
        "deepep-1": [*BENCH, "deepep", *OF_ONE],
        "deepep-8": [*BENCH, "deepep", *OF_EIGHT, *factors],
        "epskew-8": [*OWN, *OF_EIGHT, *factors],
        "deepep-8-hot-rank": [*BENCH, "deepep", *OF_EIGHT, *hot],
        "deepep-8-replay": [*BENCH, "deepep", *replay],
        "epskew-8-replay": [*OWN, *replay],
        "epskew-1": [*BENCH, "epskew", "--device", "cuda", *OF_ONE],
    }


def measurements_on_two_gpus():
    return {
        "two-gpus-deepep": [*BENCH, "deepep", *OF_TWO],
        "two-gpus-epskew": [*OWN, *OF_TWO, "--variant", "devices=0,1"],
        "two-gpus-torch": [*BENCH, "torch", *OF_TWO, "--dispatch-format", "bf16", "--modes", "fused"],
    }


def commands_of(options):
    """Command line by name, of the parts asked for. What matters most comes first."""
    wanted, results = options.parts, options.results
    one, two = measurements(options.recording), measurements_on_two_gpus()
    commands = {name: [*command, "--json", results / f"h200-adapter-{name}.json"] for name, command in one.items()}
    commands |= {name: [*command, "--json", results / f"{name}.json"] for name, command in two.items()}
    commands["boundary"] = [HERE / "boundary.py", "--json", results / "h200-boundary.json"]
    if options.deepep_test:
        for name, file, ranks in (("test", "h200-deepep-test", "1"), ("two-test", "two-gpus-deepep-test", "2")):
            commands[name] = [HERE / "own_test.py", options.deepep_test, "--json", results / f"{file}.json",
                              "--num-processes", ranks, "--num-experts", "256"]
    commands["checks"] = [HERE / "checks.py", "--json", results / "h200-deepep-checks.json"]
    return {name: command for name, command in commands.items() if name in wanted or name.split("-")[0] in wanted}


def run(name, command, limit_s):
    """Its exit code; None where it took too long."""
    begin = time.monotonic()
    # A session of its own: what it has started must not keep the GPU when it is ended.
    with subprocess.Popen([sys.executable, *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          start_new_session=True) as process:
        try:
            said, _ = process.communicate(timeout=limit_s)
            code = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said, code = process.communicate()[0], None
    print(f"== {name}: exit code {code}, {time.monotonic() - begin:.1f} s\n{said[-6000:]}", flush=True)
    return code


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording")
    parser.add_argument("--results", type=pathlib.Path, default=HERE.parents[1] / "results")
    parser.add_argument("--parts", nargs="+", default=ON_ONE_GPU, help="deepep, epskew, boundary, test, checks, a file's NAME, "
                        "or two, which takes two GPUs [all but two]")
    parser.add_argument("--deepep-test", type=pathlib.Path, help="tests/test_low_latency.py of DeepEP, for the part `test`")
    parser.add_argument("--limit", type=int, default=150, help="seconds for a case")
    options = parser.parse_args()
    codes = {name: run(name, command, options.limit) for name, command in commands_of(options).items()}
    failed = [name for name, code in codes.items() if code != 0]
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
