#!/usr/bin/env python3
"""epskew's exchange beside MPI_Alltoallv on identical routing, in one run on this machine.

For each factor: one routing file; then, `--starts` times in turn, every contestant runs it in fresh processes, and the
physical floor of this machine is measured before and after each of them. All are checked by the oracle before and after their
timing. Prints a Markdown table and writes the figures as JSON.
"""

import argparse
import itertools
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
PEERS = {
    "openmpi": ["mpirun.openmpi", "--oversubscribe", "--allow-run-as-root", "--bind-to", "none", "-n"],
    "mpich": ["mpirun.mpich", "-n"],
}


def run_json(command, timeout):
    """The JSON object that `command` prints on standard output."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    if done.returncode != 0:
        sys.exit(f"failed with {done.returncode}: {' '.join(map(str, command))}\n{done.stderr}")
    return json.loads(done.stdout)


def make_routing(args, factor, file):
    shape = ["--num-processes", args.num_processes, "--num-tokens", args.num_tokens, "--num-topk", args.num_topk,
             "--num-experts", args.num_experts, "--seed", args.seed]
    # "uniform" is a round of experts drawn at random: no target factor at all.
    target = [] if factor == "uniform" else ["--imbalance-factors", factor]
    command = [args.epskew, "gen", *shape, *target, "-o", file]
    subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL)


def run_ours(args, name, file):
    backend, _, exchange = name.partition(":")
    # Started as its peer is. Ranks share cores in both, so Open MPI is told to give way; the peer waits in Open MPI alone.
    launcher = [*PEERS["openmpi"], args.num_processes] if backend == "mpi" else []
    command = [*launcher, args.epskew, "bench", "--backend", backend, "--trace", file, "--hidden", args.hidden,
               "--num-processes", args.num_processes, "--dispatch-format", args.dispatch_format, "--iterations", args.iterations,
               "--passes", 1, "--warmup", args.warmup, "--no-flush", "--json", "-"]
    variants = args.variant + ([f"exchange={exchange}"] if exchange else [])
    command += [flag for variant in variants for flag in ("--variant", variant)]
    record = run_json([str(c) for c in command], args.timeout)
    result = record["rounds"][-1]  # bench runs a uniform and a balanced round before the recording
    return {"commit": record["build"]["commit"], "digest": result["workload"]["digest"], "factor": result["load"]["rank"]["factor"],
            **{phase: result["timing"][phase]["slowest_rank"]["p50"] for phase in PHASES}}


def run_peer(args, library, file):
    command = [*PEERS[library], args.num_processes, args.build / f"bench/peers/alltoallv/peer-alltoallv-{library}", file,
               "--hidden", args.hidden, "--dispatch-format", args.dispatch_format, "--iterations", args.iterations, "--warmup", args.warmup]
    record = run_json([str(c) for c in command], args.timeout)
    return {"digest": record["digest"], "library": record["library"],
            **{phase: record["timing"][phase]["slowest_rank_p50_us"] for phase in PHASES}}


def measure_floor(args, file):
    command = [args.build / "bench/exchange_floor", file, "--hidden", args.hidden, "--dispatch-format", args.dispatch_format]
    return run_json([str(c) for c in command], args.timeout)


PHASES = ("dispatch", "combine", "dispatch_combine")


def available_peers(build):
    found = [name for name, launcher in PEERS.items()
             if shutil.which(launcher[0]) and (build / f"bench/peers/alltoallv/peer-alltoallv-{name}").exists()]
    for name in PEERS.keys() - set(found):
        print(f"not run: {name} (its mpirun or its peer program is missing; install it and make build)", file=sys.stderr)
    return found


def compare(args, factor, peers, folder):
    file = pathlib.Path(folder) / f"{factor}.safetensors"
    make_routing(args, factor, file)
    starts = {name: [] for name in [*args.ours, *peers]}
    before = measure_floor(args, file)
    for start in range(args.starts):
        names = list(starts)
        for name in names[start % len(names):] + names[:start % len(names)]:
            run = run_peer(args, name, file) if name in PEERS else run_ours(args, name, file)
            after = measure_floor(args, file)
            starts[name].append(run | {"floors_us": [before["floor_us"], after["floor_us"]]})
            before = after
    digests = {run["digest"] for runs in starts.values() for run in runs}
    if len(digests) != 1:
        sys.exit(f"the contestants did not run the same routing: {digests}")
    commits = {run.pop("commit") for name in args.ours for run in starts[name]}
    if len(commits) != 1:
        sys.exit(f"the program changed during the run: {sorted(commits)}")
    for run in itertools.chain(*starts.values()):
        run["over_floor"] = run["dispatch_combine"] / statistics.mean(run["floors_us"])
    medians = {name: {what: statistics.median(run[what] for run in runs) for what in (*PHASES, "over_floor")}
               for name, runs in starts.items()}
    return {"target": factor, "factor": starts[args.ours[0]][0]["factor"], "digest": digests.pop(), "commit": commits.pop(), "median": medians,
            "floor_us": statistics.median(us for run in itertools.chain(*starts.values()) for us in run["floors_us"]),
            "starts": starts}


def table(results, ours, peers):
    contestants = [*ours, *peers]
    heads = ["target (real)", *(f"{name} D+C µs" for name in contestants), "floor µs", "best of ours / floor then",
             *(f"best of ours / {name}" for name in peers)]
    lines = [heads, ["---"] * len(heads)]
    for row in results:
        p50 = {name: row["median"][name]["dispatch_combine"] for name in contestants}
        best = min(ours, key=p50.get)
        lines.append([f"{row['target']} ({row['factor']:.2f})", *(f"{p50[name]:.0f}" for name in contestants),
                      f"{row['floor_us']:.0f}", f"{row['median'][best]['over_floor']:.2f}",
                      *(f"{p50[best] / p50[name]:.2f}" for name in peers)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--ours", nargs="+", default=["cpu"], help="cpu, or mpi:node, mpi:pairwise, mpi:rma, mpi:alltoallv")
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--imbalance-factors", nargs="+", default=["uniform", "1.0", "2.0", "3.0"])
    parser.add_argument("--num-processes", type=int, default=8)
    parser.add_argument("--num-tokens", type=int, default=128)
    parser.add_argument("--hidden", type=int, default=7168)
    parser.add_argument("--num-topk", type=int, default=8)
    parser.add_argument("--num-experts", type=int, default=288)
    parser.add_argument("--dispatch-format", default="fp8", choices=["fp8", "bf16"])
    parser.add_argument("--variant", action="append", default=[], help="passed on to epskew bench")
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--warmup", type=int, default=5, help="untimed iterations before them")
    parser.add_argument("--starts", type=int, default=3, help="fresh process starts of every contestant")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=300, help="seconds for one start")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures here")
    args = parser.parse_args()
    args.epskew = args.build / "apps/epskew/epskew"
    return args


def main():
    args = parse_args()
    peers = [name for name in available_peers(args.build) if name in args.peers]
    with tempfile.TemporaryDirectory() as folder:
        results = [compare(args, factor, peers, folder) for factor in args.imbalance_factors]
    print(table(results, args.ours, peers))
    if args.json:
        args.json.write_text(json.dumps({"argv": sys.argv[1:], "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
