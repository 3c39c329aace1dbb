#!/usr/bin/env python3
"""The MPI variants across hosts whose links are limited: network namespaces on this machine, joined by a bridge.

For each variant one `epskew bench` of all factors; the table sets the slowest rank's time (median, or mean of few iterations)
beside the bytes that the busiest direction of a host's link carries, over the link's nominal rate. What deduplication saves is the bytes of one copy for each
selection over those of one for each (token, host). Needs root and iproute2.

    bench/mpi/node_links.py --rate 1gbit --json bench/results/mpi_node_links.json
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/mpi"))

import hosts  # noqa: E402
from timings import slowest  # noqa: E402

PHASES = ("dispatch", "combine", "dispatch_combine")
UNITS = {"mbit": 1e6, "gbit": 1e9}
SCALE_GROUP = 128


def bits_per_s(rate):
    for unit, factor in UNITS.items():
        if rate.endswith(unit):
            return float(rate[:-len(unit)]) * factor
    sys.exit(f"--rate {rate} is not understood (mbit and gbit are); write for instance 1gbit")


def bench(args, net, exchange):
    with tempfile.TemporaryDirectory() as folder:
        name = pathlib.Path(folder) / "result.json"
        processes = args.hosts * args.per_host
        command = net.mpirun(processes, args.per_host) + hosts.ATTACHED + [
            str(args.build / "apps/epskew/epskew"), "bench", "--backend", "mpi", "--num-processes", processes, "--num-tokens",
            args.num_tokens, "--hidden", args.hidden, "--num-topk", args.num_topk, "--num-experts", args.num_experts,
            "--imbalance-factors", ",".join(map(str, args.imbalance_factors)), "--iterations", args.iterations, "--warmup", 1,
            "--passes", 1, "--no-flush", "--timeout", 60, "--variant", f"exchange={exchange}", "--json", name]
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=args.timeout)
        if done.returncode != 0:
            sys.exit(f"failed with {done.returncode}\n{done.stderr}")
        return json.loads(name.read_text())


def routing(args, factor, folder):
    """(digest, topk_idx as lists of tokens by rank)."""
    file = pathlib.Path(folder) / f"{factor}.safetensors"
    processes = args.hosts * args.per_host
    shape = ["--num-processes", processes, "--num-tokens", args.num_tokens, "--num-topk", args.num_topk, "--num-experts",
             args.num_experts]
    target = [] if factor is None else ["--imbalance-factors", factor]
    command = [args.build / "apps/epskew/epskew", "gen", *shape, *target, "-o", file]
    said = subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True).stdout
    data = file.read_bytes()
    header = json.loads(data[8:8 + int.from_bytes(data[:8], "little")])
    begin, end = header["topk_idx"]["data_offsets"]
    start = 8 + int.from_bytes(data[:8], "little")
    values = memoryview(data[start + begin:start + end]).cast("q")
    return said.split()[-1], [[values[(rank * args.num_tokens + token) * args.num_topk:(rank * args.num_tokens + token + 1) * args.num_topk]
             for token in range(args.num_tokens)] for rank in range(processes)]


def crossing(args, table):
    """By copy rule: the most copies that any host sends to others, and that any receives from others."""
    experts_per_host = args.num_experts // args.hosts
    copies = {"selection": {}, "rank": {}, "host": {}}
    for rank, tokens in enumerate(table):
        here = rank // args.per_host
        for token in tokens:
            away = [e for e in token if e >= 0 and e // experts_per_host != here]
            for rule, places in (("selection", list(away)),
                                 ("rank", {e // (args.num_experts // len(table)) for e in away}),
                                 ("host", {e // experts_per_host for e in away})):
                for place in places:
                    there = {"selection": experts_per_host, "rank": args.num_experts // len(table), "host": 1}[rule]
                    host = place // there if rule == "selection" else place // args.per_host if rule == "rank" else place
                    for key in (("out", here), ("in", host)):
                        copies[rule][key] = copies[rule].get(key, 0) + 1
    return {rule: max(counts.values(), default=0) for rule, counts in copies.items()}


def expected_bytes(args, copies, exchange):
    """Of the busiest link direction: rows with scales out; results come back one row a selection in every variant."""
    row = args.hidden + args.hidden // SCALE_GROUP * 4
    rule = {"alltoallv": "selection", "pairwise": "rank", "rma": "rank", "node": "host"}[exchange]
    dispatch = copies[rule] * row
    combine = copies["selection"] * args.hidden * 2
    return {"dispatch": dispatch, "combine": combine, "dispatch_combine": dispatch + combine}


def measure(args, net, exchange, folder):
    record = bench(args, net, exchange)
    rows = []
    for measured in record["rounds"]:
        factor = measured["target_factor"]
        digest, tokens = routing(args, factor, folder)
        if digest != measured["workload"]["digest"]:
            sys.exit(f"round {measured['label']} ran another routing than was counted: {digest}")
        copies = crossing(args, tokens)
        sizes = expected_bytes(args, copies, exchange)
        row = {"exchange": exchange, "round": measured["label"], "digest": measured["workload"]["digest"], "copies": copies,
               "oracle": measured["oracle"], "link": record["topology"]["links"], "phases": {}}
        for phase in PHASES:
            time_us = slowest(measured, phase)
            floor_us = sizes[phase] * 8 / bits_per_s(args.rate) * 1e6
            row["phases"][phase] = {"bytes": sizes[phase], "floor_us": floor_us, "slowest_rank_us": time_us,
                                    "over_floor": time_us / floor_us if floor_us > 0 else None,
                                    "slowest_rank_by_iteration_us": [max(ranks) for ranks in measured["timing"][phase]["samples_us"]]}
        rows.append(row)
    return record["build"]["commit"], rows


def table(rows):
    lines = ["| exchange | round | dispatch MB | dispatch ms | / floor | combine MB | combine ms | / floor | D+C ms | / floor | "
             "dispatch bytes saved by one copy a host |", "|---" * 11 + "|"]
    for row in rows:
        cells = []
        for phase in PHASES:
            at = row["phases"][phase]
            if phase != "dispatch_combine":
                cells.append(f"{at['bytes'] / 1e6:.2f}")
            cells += [f"{at['slowest_rank_us'] / 1e3:.1f}", f"{at['over_floor']:.3f}" if at["over_floor"] else "-"]
        saved = 1 - row["copies"]["host"] / row["copies"]["selection"] if row["copies"]["selection"] else 0
        lines.append(f"| {row['exchange']} | {row['round']} | " + " | ".join(cells) + f" | {100 * saved:.0f} % |")
    return "\n".join(lines)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--hosts", type=int, default=2)
    parser.add_argument("--per-host", type=int, default=4)
    parser.add_argument("--rate", default="1gbit", help="of both directions of every host's link")
    parser.add_argument("--exchanges", nargs="+", default=["alltoallv", "pairwise", "node"])
    parser.add_argument("--imbalance-factors", nargs="+", type=float, default=[1.0, 2.0, 3.0])
    parser.add_argument("--num-tokens", type=int, default=128)
    parser.add_argument("--hidden", type=int, default=7168)
    parser.add_argument("--num-topk", type=int, default=8)
    parser.add_argument("--num-experts", type=int, default=288)
    parser.add_argument("--iterations", type=int, default=8)
    parser.add_argument("--timeout", type=float, default=170, help="seconds for one variant")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures here")
    return parser.parse_args()


def main():
    args = parse_args()
    reason = hosts.why_not()
    if reason:
        sys.exit(f"hosts cannot be made here: {reason}")
    commits, rows = set(), []
    with tempfile.TemporaryDirectory() as folder, hosts.Hosts(args.hosts) as net:
        for host in range(args.hosts):
            net.limit(host, args.rate)
        for exchange in args.exchanges:
            commit, more = measure(args, net, exchange, folder)
            commits.add(commit)
            rows += more
    if len(commits) != 1:
        sys.exit(f"the program changed during the run: {sorted(commits)}")
    print(table(rows))
    if args.json:
        args.json.write_text(json.dumps({"argv": sys.argv[1:], "commit": commits.pop(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
