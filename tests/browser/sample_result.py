#!/usr/bin/env python3
"""sample_result.py OUT [--seed N] [--iterations N] [--backend NAME] [--no-kernels]: writes a made-up result file with every field.

The page is tested on it: its numbers are invented (a hot rank whose time grows with its load), its statistics are
computed from its samples, and the same arguments give the same bytes.
"""

import argparse
import json
import math
import random
import statistics

RANKS, EXPERTS, TOPK, TOKENS, HIDDEN = 8, 288, 8, 128, 7168
PHASES = ["dispatch_send", "dispatch_recv", "combine_send", "combine_recv", "dispatch", "combine", "dispatch_combine"]
KERNELS = ["dispatch", "combine"]  # what a profiler saw
SHARE = dict(zip(PHASES, [0.15, 0.25, 0.1, 0.5, 0.4, 0.6, 1.0]))


def quantile(values, q):
    need = math.ceil(2 / (1 - q) - 1e-9) if q >= 0.5 else math.ceil(2 / q - 1e-9)
    if len(values) < need:
        return None
    ordered = sorted(values)
    at = q * (len(ordered) - 1)
    low = math.floor(at)
    return ordered[low] + (at - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])


def summary(values):
    return {"mean": statistics.fmean(values), "min": min(values), "max": max(values), "p50": quantile(values, 0.5),
            "p90": quantile(values, 0.9), "p99": quantile(values, 0.99)}


def load_metrics(loads):
    mean, n = sum(loads) / len(loads), len(loads)
    shares = [load / sum(loads) for load in loads if load]
    std = statistics.pstdev(loads)
    ordered = sorted(loads)
    gini = sum((2 * (i + 1) - n - 1) * load for i, load in enumerate(ordered)) / (n * sum(loads))
    return {"loads": loads, "max": max(loads), "min": min(loads), "mean": mean, "median": statistics.median(loads),
            "std": std, "factor": max(loads) / mean, "balancedness": mean / max(loads), "max_vio": max(loads) / mean - 1,
            "cv": std / mean, "gini": gini, "entropy": -sum(p * math.log(p) for p in shares) / math.log(n),
            "empty": loads.count(0), "hot": loads.index(max(loads))}


def normal_scores(n):
    normal = statistics.NormalDist()
    return [normal.inv_cdf((i + 0.5) / n) for i in range(n)]


def curve(sigma, n):
    values = [math.exp(sigma * z) for z in normal_scores(n)]
    return [v * n / sum(values) for v in values]


def sigma_for(factor):
    low, high = 0.0, 8.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if curve(middle, RANKS)[-1] < factor else (low, middle)
    return low


def split(total, weights, rng):
    """`total` selections over `weights`, whole numbers that add up."""
    exact = [total * w / sum(weights) for w in weights]
    parts = [math.floor(x) for x in exact]
    for i in sorted(range(len(parts)), key=lambda i: parts[i] - exact[i])[: total - sum(parts)]:
        parts[i] += 1
    return parts


def rank_loads(factor, rng):
    if factor is None:
        return split(RANKS * TOKENS * TOPK, [rng.gauss(1, 0.03) for _ in range(RANKS)], rng)
    loads = split(RANKS * TOKENS * TOPK, curve(sigma_for(factor), RANKS), rng)
    places = list(range(RANKS))
    rng.shuffle(places)
    return [loads[place] for place in places]


def phase_record(name, loads, scale, iterations, rng):
    mean = sum(loads) / RANKS
    rows = []
    for _ in range(iterations):
        common = 1 + (rng.expovariate(6) if rng.random() < 0.1 else 0)
        rows.append([scale * SHARE[name] * common * (160 + 110 * load / mean) * rng.lognormvariate(0, 0.03)
                     for load in loads])
    columns = [list(column) for column in zip(*rows)]
    slowest = [max(row) for row in rows]
    means = [statistics.fmean(column) for column in columns]
    hot = loads.index(max(loads))
    return {"samples_us": rows, "slowest_rank": summary(slowest), "hot_rank": summary(columns[hot]),
            "per_rank": {"mean": means, "min": [min(c) for c in columns], "max": [max(c) for c in columns]},
            "over_ranks": {"mean": statistics.fmean(means), "min": min(means), "max": max(means)},
            "times_slowest": [sum(row.index(max(row)) == r for row in rows) for r in range(RANKS)]}


def rates(loads, timing, per_selection):
    out = {}
    for phase in ("dispatch", "combine", "dispatch_combine"):
        size = int(per_selection[phase])
        out[phase] = {"bytes": size, "gb_per_s": size / timing[phase]["slowest_rank"]["p50"] / 1e3}
    return out


def bandwidth(loads, timing):
    row = {"dispatch": HIDDEN + HIDDEN // 128 * 4, "combine": 2 * HIDDEN}
    row["dispatch_combine"] = row["dispatch"] + row["combine"]
    total, hot = sum(loads) // RANKS, max(loads)
    return {"send_logical": rates(loads, timing, {p: b * total for p, b in row.items()}),
            "hot_receive": rates(loads, timing, {p: b * hot * 7 // 8 for p, b in row.items()}),
            "wire": rates(loads, timing, {p: b * total * 7 // 8 for p, b in row.items()}),
            "wire_basis": {"dispatch": "selections", "combine": "selections"}}


def round_record(label, factor, scale, iterations, rng, times):
    loads = rank_loads(factor, rng)
    experts = [count for load in loads for count in
               split(load, [rng.lognormvariate(0, 0.3) for _ in range(EXPERTS // RANKS)], rng)]
    timing = {name: phase_record(name, loads, scale, iterations, times) for name in PHASES}
    pairs = [split(load, [rng.gauss(1, 0.05) for _ in range(RANKS)], rng) for load in loads]
    selections = [list(row) for row in zip(*pairs)]
    return {"label": label, "target_factor": factor,
            "workload": {"distribution": "lognormal" if factor else "uniform",
                         "parameters": {"sigma": sigma_for(factor)} if factor else {}, "seed": 0,
                         "digest": "%032x" % rng.getrandbits(128), "feasible_max": 8.0, "uniform_floor": 1.052},
            "load": {"rank": load_metrics(loads), "expert": load_metrics(experts), "message": load_metrics(loads),
                     "selections": selections, "messages": selections, "hot_over_others": 1.5, "hottest_source": 0,
                     "hottest_destination": loads.index(max(loads))},
            "oracle": {"before": "passed", "after": "passed"}, "timing": timing, "bandwidth": bandwidth(loads, timing),
            "cost_of_imbalance": None,
            "kernel_timing": {name: phase_record(name, loads, scale / 4, 40, times) if name in KERNELS else None
                              for name in PHASES},
            "memory": {"reserved_bytes": [440 << 20] * RANKS, "touched_bytes": [60 << 20] * RANKS},
            "misalignment": {"samples_us": [[0.1 * r for r in range(RANKS)]], "max_over_ranks": summary([0.7] * 250)}}


def add_cost(rounds):
    balanced = rounds[1]["timing"]
    for entry in rounds:
        if entry["label"] == "1.0":
            continue
        phases = {}
        for phase in ("dispatch", "combine", "dispatch_combine"):
            ratio = entry["timing"][phase]["slowest_rank"]["p50"] / balanced[phase]["slowest_rank"]["p50"]
            phases[phase] = {"ratio": ratio, "low": 0.97 * ratio, "high": 1.035 * ratio}
        entry["cost_of_imbalance"] = dict(phases["dispatch_combine"], reference="1.0", phases=phases)


def without_kernels(record):
    """The same as a result file was before 1.4."""
    for entry in record["rounds"]:
        del entry["kernel_timing"]
    return record


def result(seed, iterations, backend):
    rng = random.Random(1)  # the routing does not depend on the seed of the times: results overlay
    times = random.Random(seed)
    scale = times.uniform(1.0, 1.6)
    rounds = [round_record("uniform", None, scale, iterations, rng, times)]
    rounds += [round_record(f"{f:.1f}", f, scale, iterations, rng, times) for f in (1.0, 2.0, 3.0)]
    add_cost(rounds)
    return {
        "schema_version": "1.0.0", "tool": {"name": "epskew", "version": "0.1.0"}, "command": "bench",
        "argv": ["epskew", "bench", "--imbalance-factors", "1.0", "2.0", "3.0", "--json", "it's </script> here.json"],
        "created": "2026-01-02T03:04:05Z",
        "host": {"name": "sample", "system": "Linux 6.1 x86_64", "memory_bytes": 64 << 30},
        "cpu": {"model": "A CPU", "logical_cores": 16, "llc_bytes": 32 << 20}, "gpu": [], "driver": None,
        "libraries": {"fmt": "9.1.0"},
        "build": {"compiler": "g++ 12.2.0", "flags": "-O3", "type": "Release", "commit": None},
        "config": {"num_ranks": RANKS, "num_experts": EXPERTS, "topk": TOPK, "hidden": HIDDEN, "max_tokens": TOKENS,
                   "tokens_per_rank": [TOKENS] * RANKS, "dispatch_format": "fp8", "combine_format": "bf16",
                   "backend": backend, "variants": {}, "backend_facts": [], "micro_batches": 1, "timeout_ms": 30000,
                   "iterations": iterations, "warmup": 5, "flush_cache": True, "flush_bytes": 64 << 20,
                   "clock": {"source": "steady_clock", "resolution_ns": 20.0}, "distribution": "lognormal",
                   "imbalance_factors": [1.0, 2.0, 3.0], "num_masked": 0, "seed": 0, "trace": None},
        "rounds": rounds}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--iterations", type=int, default=250)
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--no-kernels", action="store_true", help="as written before 1.4")
    arguments = parser.parse_args()
    with open(arguments.out, "w", encoding="utf-8") as out:
        record = result(arguments.seed, arguments.iterations, arguments.backend)
        json.dump(without_kernels(record) if arguments.no_kernels else record, out)


if __name__ == "__main__":
    main()
