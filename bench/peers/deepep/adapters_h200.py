#!/usr/bin/env python3
"""DeepEP and epskew's CUDA exchange through one runner on one GPU: adapters_h200.py RECORDING [--results FOLDER] [--parts …]

RECORDING is a folder of recorded routing with 64 experts, top-6 (`--trace`). Needs the Python package with CUDA and
deep_ep v1.2.1 in this Python. Writes FOLDER/h200-adapter-*.json, h200-boundary.json and h200-both.html, and says which
of the faults planted in DeepEP's output were found. A case that fails is said, and the others go on.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
FAULTY = HERE.parents[2] / "tests" / "adapters"
COMMON = ["--num-masked", "0", "--passes", "2"]
OF_ONE = ["--num-experts", "256", "--num-processes", "1", "--iterations", "60", *COMMON]
OF_EIGHT = ["--num-experts", "256", "--num-processes", "8", "--iterations", "40", *COMMON]
REPLAY = ["--num-experts", "64", "--num-processes", "8", "--num-tokens", "128", "--iterations", "40", "--passes", "2"]
FAULTS = {"swap": "FaultyDeepEp", "scale": "FaultyDeepEp", "drop": "FaultyDeepEp", "combine": "FaultyDeepEp",
          "dispatch": "ForgetfulDeepEp"}
PARTS = ("deepep", "epskew", "faults", "boundary", "test")


def runs(recording):
    """File → command line, without --json."""
    bench = [sys.executable, "-m", "epskew.bench", "--adapter"]
    own = [sys.executable, "-c", "import epskew, sys; plan = epskew.plan_bench(sys.argv[1:]); "
           "result = epskew.run_bench(plan, backend='cuda'); result.save(plan.json); print(result.tables())"]
    factors = ["--imbalance-factors", "1", "2", "3", "4"]
    hot = ["--pattern", "hot-rank", "--imbalance-factors", "2.94"]
    replay = ["--trace", recording, *REPLAY]
    return {
        "deepep-1": [*bench, "deepep", *OF_ONE],
        "epskew-1": [*bench, "epskew", "--device", "cuda", *OF_ONE],
        "deepep-8": [*bench, "deepep", *OF_EIGHT, *factors],
        "epskew-8": [*own, *OF_EIGHT, *factors],
        "deepep-8-replay": [*bench, "deepep", *replay],
        "epskew-8-replay": [*own, *replay],
        "deepep-8-hot-rank": [*bench, "deepep", *OF_EIGHT, *hot],
    }


def run(name, command, limit_s, **more):
    """Its exit code; None where it took too long."""
    begin = time.monotonic()
    try:
        done = subprocess.run([str(word) for word in command], timeout=limit_s, capture_output=True, text=True,
                              env=os.environ | more, check=False)
        code, said = done.returncode, done.stdout[-6000:] + done.stderr[-3000:]
    except subprocess.TimeoutExpired as error:
        code, said = None, f"{(error.stdout or b'')[-2000:]!r} {(error.stderr or b'')[-2000:]!r}"
    print(f"== {name}: exit code {code}, {time.monotonic() - begin:.1f} s\n{said}", flush=True)
    return code


def start_faults():
    """One process a fault, all at once: what they take does not matter."""
    small = ["--num-processes", "2", "--num-tokens", "32", "--num-experts", "64", "--iterations", "4", "--passes", "1",
             "--imbalance-factors", "1", "--modes", "split", "--no-kernels"]
    path = os.pathsep.join([str(FAULTY), os.environ.get("PYTHONPATH", "")])
    return {fault: subprocess.Popen([sys.executable, "-m", "epskew.bench", "--adapter", f"faulty:{adapter}", "--variant",
                                     f"fault={fault}", *small], env=os.environ | {"PYTHONPATH": path},
                                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            for fault, adapter in FAULTS.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording")
    parser.add_argument("--results", type=pathlib.Path, default=HERE.parents[1] / "results")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--deepep-test", type=pathlib.Path, help="tests/test_low_latency.py of DeepEP, for the part `test`")
    parser.add_argument("--limit", type=int, default=150, help="seconds for a case")
    options = parser.parse_args()
    files = []
    for name, command in runs(options.recording).items():
        if name.split("-")[0] in options.parts:
            files.append(options.results / f"h200-adapter-{name}.json")
            run(name, [*command, "--json", files[-1]], options.limit)
    if "faults" in options.parts:
        for fault, process in start_faults().items():
            said = process.communicate(timeout=options.limit)[1]
            print(f"== fault {fault}: exit code {process.returncode}\n{said[-400:]}", flush=True)
    if "boundary" in options.parts:
        run("boundary", [sys.executable, HERE / "boundary.py", "--json", options.results / "h200-boundary.json"], 60)
    if "test" in options.parts and options.deepep_test:
        skewed = options.deepep_test.with_name("skewed_low_latency.py")
        skewed.write_text(subprocess.run([sys.executable, HERE.parents[2] / "examples" / "skew_deepep_test.py",
                                          options.deepep_test], capture_output=True, text=True, check=True).stdout)
        run("DeepEP's own test", [sys.executable, skewed, "--num-processes", "1", "--num-experts", "256"], 100)
    both = [file for file in files if file.name.endswith("-8.json") and file.exists()]
    if len(both) == 2:
        code = ("import epskew, pathlib, sys; print(epskew.report_page([(pathlib.Path(f).stem, epskew.Result.load(f)) "
                "for f in sys.argv[1:]]))")
        page = subprocess.run([sys.executable, "-c", code, *both], capture_output=True, text=True, check=True).stdout
        (options.results / "h200-both.html").write_text(page)


if __name__ == "__main__":
    main()
