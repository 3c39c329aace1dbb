#!/usr/bin/env python3
"""Simulated runs of the MPI backend by SimGrid's SMPI: more ranks than there are machines.

    bench/simulation/simulate.py scale --ranks 8 16 64 --results bench/results
    bench/simulation/simulate.py scale --schedule pairwise --ranks 64 128 256 --results bench/results
    bench/simulation/simulate.py validate --results bench/results     (needs root: network namespaces)

The program is build/smpi/apps/epskew/epskew, the same sources built with -DEPSKEW_MPI=smpi. `scale` describes nodes of eight GPUs
(machines.py) and folds the payload: all rows of all ranks share a few pages of memory. `validate` runs the same variant for
real across namespaces with limited links, and simulated on a platform of the same links, and states the error.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "bench/mpi"), str(ROOT / "tests/mpi")]

import hosts  # noqa: E402
import machines  # noqa: E402
from timings import slowest  # noqa: E402

# Time passes on links only: no computation is simulated, and links carry what is described (the factors that SimGrid fits to a
# cluster with Ethernet are set aside). Reading the clock or looking for a message takes 0.1 us, or a loop around it would not end.
CONFIG = ["smpi/simulate-computation:no", "smpi/wtime:1e-7", "smpi/test:1e-7", "smpi/iprobe:1e-7", "network/TCP-gamma:0",
          "smpi/bw-factor:0:1.0", "smpi/lat-factor:0:1.0", "network/crosstraffic:no", "network/weight-S:0",
          # No copy of a short message is kept for its receiver: with hundreds of ranks nearly all are short.
          "smpi/send-is-detached-thresh:0"]
# How everyone's messages to everyone go out: all together, which costs the simulator a computation over R² flows at each of
# their ends, or to the next neighbour first, then to the one after it, as Open MPI's and MPICH's pairwise algorithms do.
SCHEDULES = {"together": ["smpi/alltoall:basic_linear", "smpi/alltoallv:ompi_basic_linear"],
             "pairwise": ["smpi/alltoall:ring", "smpi/alltoallv:ring"]}
# What Ethernet, IP and TCP leave of a link's rate to full frames: 1448 of 1514 bytes, which is what tc's token bucket counts.
TCP_SHARE = 1448 / 1514
PHASES = ("dispatch", "combine", "dispatch_combine")


class PeakMemory:
    """The most memory of its own that a process and its descendants have had, looked at ten times a second. What the kernel calls
    their resident size counts the few folded pages once for each place where they are mapped."""

    def __init__(self, pid):
        self.pid, self.peak, self.ended = pid, 0, threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def stop(self):
        self.ended.set()
        self.thread.join()
        return self.peak

    def _look(self):
        while not self.ended.wait(0.1):
            self.peak = max(self.peak, self._of(self.pid))

    def _of(self, pid):
        try:
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            return 0
        own = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:")), 0) * 1024
        return own + sum(self._of(child) for child in children)


def folded_from(args, ranks):
    """Allocations of so many bytes and more hold rows: no list that a routing needs has 16 bytes for each selection."""
    return max(2**20, 16 * ranks * args.num_tokens * args.num_topk)


def simulate(args, xml, name, ranks, arguments, folded):
    """(record, seconds of processor time that the simulation took, its peak memory in bytes)."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "platform.xml").write_text(xml)
        (folder / "hosts").write_text("".join(f"rank-{rank}\n" for rank in range(ranks)))
        command = ["smpirun", "-np", ranks, "-hostfile", folder / "hosts", "-platform", folder / "platform.xml",
                   *[f"--cfg={item}" for item in [*CONFIG, *SCHEDULES[args.schedule]]], "--log=root.thres:error",
                   args.build / "apps/epskew/epskew", "bench", "--backend", "mpi", "--num-processes", ranks, "--no-flush",
                   "--passes", 1, "--warmup", 0, "--timeout", 86400, *arguments, "--json", folder / "result.json"]
        environment = {**os.environ, "EPSKEW_PLATFORM": name, "EPSKEW_SCHEDULE": args.schedule, **({"EPSKEW_FOLD_PAYLOAD": str(folded_from(args, ranks))} if folded else {})}
        before = os.times()
        with subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env=environment, cwd=folder) as process:
            memory = PeakMemory(process.pid)
            try:
                said, _ = process.communicate(timeout=args.timeout)
            finally:
                process.kill()
        if process.returncode != 0:
            sys.exit(f"failed with {process.returncode}: {' '.join(map(str, command))}\n{said[-4000:]}")
        after = os.times()
        seconds = after.children_user + after.children_system - before.children_user - before.children_system
        record = json.loads((folder / "result.json").read_text())
        record["argv"][0], record["argv"][-1] = "epskew", "result.json"  # paths of this machine say nothing elsewhere
        return record, seconds, memory.stop()


def keep_cost(args, ranks, seconds, peak):
    """Sets what one simulation took in the list of all of them."""
    file = args.results / "simulated_cost.json"
    costs = json.loads(file.read_text()) if file.exists() else []
    costs = [cost for cost in costs if (cost["schedule"], cost["ranks"]) != (args.schedule, ranks)]
    costs.append({"schedule": args.schedule, "ranks": ranks, "processor_s": round(seconds, 1), "peak_bytes": peak})
    costs.sort(key=lambda cost: (cost["schedule"], cost["ranks"]))
    file.write_text(json.dumps(costs, indent=1) + "\n")


def scale(args):
    lines = ["| EP ranks | nodes | round | dispatch us | combine us | D+C us | cost of imbalance | processor s | peak GiB |",
             "|---" * 9 + "|"]
    for ranks in args.ranks:
        shape = ["--num-tokens", args.num_tokens, "--hidden", args.hidden, "--num-topk", args.num_topk, "--num-experts",
                 args.num_experts, "--ranks-per-node", machines.GPUS_PER_NODE, "--iterations", args.iterations,
                 "--imbalance-factors", ",".join(map(str, args.imbalance_factors))]
        name = f"{ranks // machines.GPUS_PER_NODE} nodes of {machines.GPUS_PER_NODE} GPUs, NVLink 450 GB/s, rails of 400 Gb/s"
        record, seconds, peak = simulate(args, machines.gpus(ranks), name, ranks, shape, folded=True)
        (args.results / f"simulated_{'pairwise_' if args.schedule == 'pairwise' else ''}ep{ranks}.json").write_text(json.dumps(record, separators=(",", ":")) + "\n")
        keep_cost(args, ranks, seconds, peak)
        balanced = next(slowest(r, "dispatch_combine") for r in record["rounds"] if r["target_factor"] == 1.0)
        for measured in record["rounds"]:
            times = [slowest(measured, phase) for phase in PHASES]
            lines.append(f"| {ranks} | {ranks // machines.GPUS_PER_NODE} | {measured['label']} | " +
                         " | ".join(f"{t:.1f}" for t in times) + f" | {times[2] / balanced:.2f} | {seconds:.0f} | {peak / 2**30:.1f} |")
        print("\n".join(lines[-len(record["rounds"]):]), file=sys.stderr, flush=True)
    return "\n".join(lines)


def run_real(args, net, arguments):
    with tempfile.TemporaryDirectory() as folder:
        name = pathlib.Path(folder) / "result.json"
        command = net.mpirun(args.hosts, 1) + hosts.ATTACHED + [
            args.real_build / "apps/epskew/epskew", "bench", "--backend", "mpi", "--num-processes", args.hosts, "--no-flush",
            "--passes", 1, "--warmup", 1, "--timeout", 60, "--variant", "exchange=alltoallv", *arguments, "--json", name]
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=args.timeout)
        if done.returncode != 0:
            sys.exit(f"failed with {done.returncode}\n{done.stderr}")
        return json.loads(name.read_text())


def validate(args):
    shape = ["--num-tokens", args.num_tokens, "--hidden", args.hidden, "--num-topk", args.num_topk, "--num-experts",
             args.num_experts, "--iterations", args.iterations, "--imbalance-factors", ",".join(map(str, args.imbalance_factors))]
    with hosts.Hosts(args.hosts) as net:
        for host in range(args.hosts):
            net.limit(host, f"{args.mbit}mbit")
        real = run_real(args, net, shape)
    latency_s = min(link["latency_us"] for link in real["topology"]["links"]) * 1e-6
    xml = machines.hosts(args.hosts, args.mbit * 1e6 * TCP_SHARE, latency_s)
    name = f"{args.hosts} hosts behind one switch, {args.mbit} Mb/s"
    simulated, _, _ = simulate(args, xml, name, args.hosts, shape, folded=False)
    rows = []
    for there, here in zip(real["rounds"], simulated["rounds"]):
        if there["workload"]["digest"] != here["workload"]["digest"]:
            sys.exit(f"round {there['label']} is another routing in the simulation")
        for phase in PHASES:
            rows.append({"round": there["label"], "phase": phase, "real_us": slowest(there, phase), "simulated_us": slowest(here, phase),
                         "error": slowest(here, phase) / slowest(there, phase) - 1, "oracle": here["oracle"]})
    (args.results / "simulated_validation.json").write_text(
        json.dumps({"argv": sys.argv[1:], "latency_us": latency_s * 1e6, "mbit": args.mbit, "rows": rows}, indent=1) + "\n")
    lines = ["| round | phase | real ms | simulated ms | error |", "|---|---|---|---|---|"]
    lines += [f"| {r['round']} | {r['phase']} | {r['real_us'] / 1e3:.2f} | {r['simulated_us'] / 1e3:.2f} | {100 * r['error']:+.1f} % |"
              for r in rows]
    return "\n".join(lines)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["scale", "validate"])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/smpi")
    parser.add_argument("--real-build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--ranks", nargs="+", type=int, default=[64, 128, 256])
    parser.add_argument("--schedule", choices=list(SCHEDULES), default="together",
                        help="pairwise for more than 64 ranks, for which together takes long [together]")
    parser.add_argument("--hosts", type=int, default=4)
    parser.add_argument("--mbit", type=int, default=200)
    parser.add_argument("--imbalance-factors", nargs="+", type=float, default=[1.0, 2.0, 3.0])
    parser.add_argument("--num-tokens", type=int, help="[128; 32 beside real runs]")
    parser.add_argument("--hidden", type=int, default=7168)
    parser.add_argument("--num-topk", type=int, default=8)
    parser.add_argument("--num-experts", type=int, default=256, help="a multiple of all --ranks")
    parser.add_argument("--iterations", type=int, help="[1 simulated; 5 beside real runs]")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds for one run")
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "bench/results")
    args = parser.parse_args()
    is_real = args.what == "validate"
    args.num_tokens = args.num_tokens or (32 if is_real else 128)  # the real links are slow
    args.iterations = args.iterations or (5 if is_real else 1)
    return args


def main():
    args = parse_args()
    print(scale(args) if args.what == "scale" else validate(args))


if __name__ == "__main__":
    main()
