#!/usr/bin/env python3
"""DeepEP's low-latency kernels and epskew's CUDA exchange on the same routing, by the same profiler clock.

    compare_h200.py --build BUILD [--results bench/results] [--deepep-python python3] [--parts …]
    compare_h200.py --page [--results bench/results]

BUILD is a build folder with epskew, epskew_kernel_durations and epskew_roofline (preset cuda). DeepEP v1.2.1 must be
importable by --deepep-python; without it leave the part out (--parts), and its columns stay as they were. What fails is named at the
end, with exit code 1. Writes h200-roofline.json, h200-comparison.json,
h200-split.json (every iteration of the 8 ranks' main cases), h200-bench.json, h200-bench-warm.json, and the page h200-comparison.md; --page
writes the page alone, anew.
"""
import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
HIDDEN, EXPERTS, DEEPEP_MOST_TOPK = 7168, 256, 11
PHASES = ("dispatch_send", "dispatch_recv", "combine_send", "combine_recv")
PARTS = ("roofline", "deepep", "epskew", "warm", "variants", "bench")


def case(ranks, tokens, topk=8, factor=None):
    name = f"r{ranks}-t{tokens}-k{topk}" + (f"-f{factor:g}" if factor else "") + ".safetensors"
    return {"routing": name, "num_ranks": ranks, "tokens_per_rank": tokens, "topk": topk, "factor": factor}


# DeepEP's buffers for 1024 tokens on 8 ranks are more than the GPU holds.
CASES = ([case(1, tokens) for tokens in (8, 32, 128, 512, 1024)] +
         [case(1, 128, topk) for topk in (1, 4, 11, 16)] +
         [case(8, 128), case(8, 128, factor=3.0)] +
         [case(8, tokens) for tokens in (8, 32, 512, 1024)] +
         [case(8, 128, topk) for topk in (1, 4, 11, 16)])


failures = []


def deepep_can(each):
    return each["topk"] <= DEEPEP_MOST_TOPK and (each["num_ranks"] == 1 or each["tokens_per_rank"] <= 512)


def run(command, timeout):
    started = time.monotonic()
    if not pathlib.Path(command[0]).exists() and pathlib.Path(command[0]).is_absolute():
        sys.exit(f"{command[0]} is not there; build it, or leave its part out (--parts)")
    # A session of its own: what it has spawned must not keep the GPU when it is ended.
    with subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          start_new_session=True) as process:
        try:
            said, _ = process.communicate(timeout=timeout)
            problem = f"exit code {process.returncode}" if process.returncode != 0 else None
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate()
            problem = f"not done after {timeout} s"
    line = " ".join(str(word) for word in command)[:150]
    print(f"{time.monotonic() - started:6.1f} s  {line}", flush=True)
    if problem:
        print(f"{problem}\n{said[-6000:]}", flush=True)
        failures.append(f"{line}: {problem}")
    return problem is None


def make_routings(build, folder):
    for each in CASES:
        law = ["--imbalance-factor", each["factor"]] if each["factor"] else []
        if not run([build / "apps/epskew/epskew", "gen", "--num-processes", each["num_ranks"], "--num-tokens", each["tokens_per_rank"],
                    "--num-topk", each["topk"], "--num-experts", EXPERTS, "--num-masked", 0, "--seed", 1, *law, "-o",
                    folder / each["routing"]], 60):
            sys.exit(f"epskew gen cannot make {each['routing']}")


def slowest_of_iterations(iterations):
    """Median over iterations of the sum over phases of the slowest rank; iterations as [phase][rank]."""
    return round(statistics.median(sum(max(ranks) for ranks in phases) for phases in iterations), 3)


def phase_medians(iterations, ranks, names):
    """Median over iterations by phase and rank, of rows flattened as [phase][rank]."""
    columns = list(zip(*iterations))
    return {name: [round(statistics.median(columns[phase * ranks + rank]), 3) for rank in range(ranks)]
            for phase, name in enumerate(names)}


def run_deepep(options, folder, cases, flags=()):
    """Medians by routing file; empty where it does not run."""
    found = {}
    for world in (1, 8):
        files = [folder / each["routing"] for each in cases if each["num_ranks"] == world and deepep_can(each)]
        result = folder / f"deepep-{world}{''.join(flags)}.json"
        run([options.deepep_python, HERE / "low_latency.py", *files, "--experts", EXPERTS, "--hidden", HIDDEN, *flags, "--json", result],
            options.deepep_timeout)
        if not result.exists():
            continue
        for each in json.loads(result.read_text())["cases"]:
            medians = {"split_us": {name: [round(statistics.median(row[i] for row in rank["split_us"]), 3)
                                           for rank in each["ranks"]] for i, name in enumerate(PHASES)},
                       "slowest_us": slowest_of_iterations(
                           [list(zip(*rows)) for rows in zip(*(rank["split_us"] for rank in each["ranks"]))])}
            if world == 1:
                fused = each["ranks"][0]["fused_us"]
                medians["fused_us"] = {name: round(statistics.median(row[i] for row in fused), 3)
                                       for i, name in enumerate(("dispatch", "combine"))}
            found[each["routing"]] = medians
    return found


def by_phase(row, ranks):
    """[phase][rank] of one flattened iteration; counts are part of dispatch_send."""
    counts, send, *others = [row[i:i + ranks] for i in range(0, len(row), ranks)]
    return [[a + b for a, b in zip(counts, send)], *others]


def epskew_medians(each):
    ranks = each["num_ranks"]
    split = phase_medians(each["split_us"], ranks, ("counts", *PHASES))
    return {"digest": each["digest"], "rank_loads": each["rank_loads"], "split_us": split,
            "slowest_us": slowest_of_iterations([by_phase(row, ranks) for row in each["split_us"]]),
            "fused_us": {name: round(statistics.median(row[i] for row in each["fused_us"]), 3)
                         for i, name in enumerate(("dispatch", "combine"))}}


def run_epskew(build, folder, cases, variants=(), flags=()):
    """Medians by routing file, and the program's whole result; both empty where it fails."""
    result = folder / ("epskew-" + "-".join((*variants, *flags)).replace("=", "_") + ".json")
    words = [word for variant in variants for word in ("--variant", variant)]
    run([build / "bench/kernel_durations/epskew_kernel_durations", *words, *flags, "--json", result,
         *[folder / each["routing"] for each in cases]], 400)
    if not result.exists():
        return {}, {"facts": [], "cases": []}
    data = json.loads(result.read_text())
    return {each["routing"]: epskew_medians(each) for each in data["cases"]}, data


VARIANTS = [("dispatch=direct", "combine=pull"), ("dispatch=dedup", "combine=pull"), ("dispatch=dedup", "combine=push"),
            ("dispatch=dedup", "combine=prereduce"), ("dispatch=direct", "combine=prereduce")]
MAIN_ONE_RANK = case(1, 128)
VARIANT_CASES = [each for each in CASES if each["num_ranks"] == 8 and each["tokens_per_rank"] == 128 and each["topk"] == 8]


def largest_median(split):
    """Sum over phases of the rank with the largest median, and of the median rank; counts are part of dispatch_send."""
    sums = {name: split[name] for name in PHASES}
    if "counts" in split:
        sums["dispatch_send"] = [a + b for a, b in zip(split["counts"], split["dispatch_send"])]
    return sum(max(ranks) for ranks in sums.values()), sum(statistics.median(ranks) for ranks in sums.values())


def floor_us(each, copy_tbps):
    """Of dispatch and of combine for one rank: each token read and its rows written once, each row read and the token
    written once, in FP8 with scales and in BF16, at the copy rate of device memory."""
    tokens, rows = each["tokens_per_rank"], each["tokens_per_rank"] * each["topk"]
    dispatch = tokens * 2 * HIDDEN + rows * (HIDDEN + HIDDEN // 32)
    combine = rows * 2 * HIDDEN + tokens * 2 * HIDDEN
    return dispatch / copy_tbps / 1e6, combine / copy_tbps / 1e6


def describe(each):
    factor = f", factor {each['factor']:g}" if each["factor"] else ""
    return f"{each['num_ranks']} rank{'s' if each['num_ranks'] > 1 else ''}, {each['tokens_per_rank']} tokens, " \
           f"top-{each['topk']}{factor}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def fused_row(each, copy_tbps):
    ours, theirs = each["epskew"]["fused_us"], (each["deepep"] or {}).get("fused_us")
    mine = ours["dispatch"] + ours["combine"]
    other = theirs["dispatch"] + theirs["combine"] if theirs else None
    return [describe(each), f"{theirs['dispatch']:.1f} / {theirs['combine']:.1f}" if theirs else "not run",
            f"{ours['dispatch']:.1f} / {ours['combine']:.1f}", f"{other / mine:.2f}" if theirs else "–",
            *floor_cells(each, copy_tbps, mine, each["num_ranks"])]


def floor_cells(each, copy_tbps, mine, ranks=1):
    floor = ranks * sum(floor_us(each, copy_tbps))
    return [f"{floor:.1f}", f"{mine / floor:.2f}"]


def split_row(each, copy_tbps):
    mine, median = largest_median(each["epskew"]["split_us"])
    other = largest_median(each["deepep"]["split_us"]) if each["deepep"] else None
    iterations = [f"{side['slowest_us']:.1f}" if side and "slowest_us" in side else "–" for side in (each["deepep"], each["epskew"])]
    return [describe(each), f"{other[0]:.1f} ({other[1]:.1f})" if other else "not run", f"{mine:.1f} ({median:.1f})",
            f"{other[0] / mine:.2f}" if other else "–", *floor_cells(each, copy_tbps, mine), " / ".join(iterations)]


def ranks_fused_row(each, copy_tbps):
    ours = each["epskew"]["fused_us"]
    mine = ours["dispatch"] + ours["combine"]
    return [describe(each), f"{ours['dispatch']:.1f} / {ours['combine']:.1f}", f"{mine:.1f}",
            *floor_cells(each, copy_tbps, mine, each["num_ranks"])]


def variant_row(each, copy_tbps):
    split, fused = each["split_us"], each["fused_us"]
    mine, median = largest_median(split)
    phases = [max(a + b for a, b in zip(split["counts"], split["dispatch_send"]))]
    phases += [max(split[name]) for name in PHASES[1:]]
    return [" ".join(each["variants"]), each["routing"].removesuffix(".safetensors"),
            " + ".join(f"{us:.1f}" for us in phases), f"{mine:.1f} ({median:.1f})",
            f"{mine / sum(floor_us(VARIANT_CASES[0], copy_tbps)):.2f}", f"{fused['dispatch']:.1f} + {fused['combine']:.1f}"]


def warm_row(each):
    if each["num_ranks"] == 1:
        sides = [each[name]["fused_us"] if each[name] else None for name in ("deepep", "epskew")]
        times = [side["dispatch"] + side["combine"] if side else None for side in sides]
    else:
        times = [each[name]["slowest_us"] if each[name] else None for name in ("deepep", "epskew")]
    return [describe(each), *(f"{time:.1f}" if time else "not run" for time in times)]


def write_page(results):
    data = json.loads((results / "h200-comparison.json").read_text())
    ran = [each for each in data["cases"] if each["epskew"]]
    single = [each for each in ran if each["num_ranks"] == 1]
    several = [each for each in ran if each["num_ranks"] > 1]
    copy_tbps = json.loads((results / "h200-roofline.json").read_text())["floors"]["hbm_copy_tbps"]
    single_rows = [fused_row(each, copy_tbps) for each in single]
    several_rows = [split_row(each, copy_tbps) for each in several]
    warm = data.get("warm", [])
    commit = data.get("origin", {}).get("build", {}).get("commit", "unknown")
    ratios = [float(row[3]) for row in single_rows + several_rows if row[3] != "–"]
    worst = f"The smallest ratio over all cases that both ran is {min(ratios):.2f}." if ratios else ""
    page = f"""# DeepEP's low-latency kernels and epskew's CUDA exchange

Made by `bench/peers/deepep/compare_h200.py` from [h200-comparison.json](h200-comparison.json). {data['device']}; {data['date']};
epskew of commit {commit}.
Hidden {HIDDEN}, {EXPERTS} experts, FP8 dispatch, BF16 combine. Kernel durations by the CUDA profiler, microseconds, medians over
iterations, both libraries in one session on the same routing files. A 256 MB buffer is zeroed before dispatch and before
combine. Several ranks on one GPU are an **emulation**: no link is in any of these times. {worst}

The floor is bytes over the copy rate of device memory ({copy_tbps:.2f} TB/s read and written, measured in the same run by
`bench/roofline`): every token read and every row written once, every row read and every token written once. No launch and
no latency is in it, so few tokens are far above it; rows that stay in L2 can undercut it.

## One rank, fused: dispatch / combine

{table(["case", "DeepEP", "epskew", "ratio of the sums", "floor of the sum", "epskew / floor"], single_rows)}

## Eight ranks, split, one after the other with the whole GPU: sum over the four phases of the rank with the largest median (of the median rank)

The last column takes the slowest rank of each phase in every iteration and then the median, DeepEP / epskew, where the iterations were kept; it
is larger, since another rank is slow in another iteration.

DeepEP takes at most top-{DEEPEP_MOST_TOPK}, and more than 512 tokens on 8 ranks need more memory than the GPU has. Its fused kernels hang
where several ranks share a GPU.

{table(["case", "DeepEP", "epskew", "ratio", "floor", "epskew / floor", "slowest rank of each iteration"], several_rows)}

## Eight ranks fused in one launch (DeepEP's hang): dispatch / combine

{table(["case", "epskew", "sum", "floor of all ranks", "epskew / floor"],
       [ranks_fused_row(each, copy_tbps) for each in several])}

## Warm: nothing is zeroed

L2 is as the half before left it. Sum of dispatch and combine: one rank fused; eight ranks split, slowest rank of each iteration.

{table(["case", "DeepEP", "epskew"], [warm_row(each) for each in warm])}

## Variants of epskew, eight ranks, 128 tokens, top-8

Send + receive of dispatch, send + receive of combine, largest median of a rank each; their sum (of the median rank); all ranks fused in one
launch. The floor is that of direct and pull: what a variant moves beyond it is its own.

{table(["variant", "routing", "phases", "split", "split / floor", "fused"],
       [variant_row(each, copy_tbps) for each in data["variants"]])}
"""
    (results / "h200-comparison.md").write_text(page)


def device_of(facts):
    return "; ".join(fact for fact in facts if fact.startswith(("GPU", "CUDA")))


def kept(results, parts):
    """The results that are there, of the parts that are not measured this time."""
    file = results / "h200-comparison.json"
    old = json.loads(file.read_text()) if file.exists() else {"cases": [], "variants": []}
    cases = {each["routing"]: each for each in old["cases"]}
    return ({routing: each["epskew"] for routing, each in cases.items()} if "epskew" not in parts else {},
            {routing: each["deepep"] for routing, each in cases.items()} if "deepep" not in parts else {},
            old["variants"] if "variants" not in parts else [], old)


def measure(options, folder):
    build, results, parts = options.build, options.results, options.parts
    old_epskew, old_deepep, variants, old = kept(results, parts)
    warm = old.get("warm", [])
    make_routings(build, folder)
    if "roofline" in parts:
        (results / "h200-roofline.json").unlink(missing_ok=True)  # an old floor beside new times would be none
        run([build / "bench/roofline/epskew_roofline", "--json", results / "h200-roofline.json"], 120)
    deepep = run_deepep(options, folder, CASES) if "deepep" in parts else old_deepep
    epskew, raw = run_epskew(build, folder, CASES) if "epskew" in parts else (old_epskew, {"facts": [], "cases": []})
    if "warm" in parts:
        cases = [MAIN_ONE_RANK, *VARIANT_CASES]
        ours, _ = run_epskew(build, folder, cases, flags=("--no-flush",))
        theirs = run_deepep(options, folder, cases, ("--no-flush",)) if "deepep" in parts else {}
        warm = [{**each, "epskew": ours[each["routing"]], "deepep": theirs.get(each["routing"])} for each in cases
                if each["routing"] in ours]
    for names in VARIANTS if "variants" in parts else ():
        medians, _ = run_epskew(build, folder, VARIANT_CASES, names)
        variants += [{"variants": names, "routing": routing, **each} for routing, each in medians.items()]
    result = {"what": "medians over iterations of kernel durations by the CUDA profiler, microseconds; split_us by phase "
                      "and rank, fused_us of one launch; slowest_us: the slowest rank of each phase in every iteration, summed, "
                      "then the median",
              "device": device_of(raw["facts"]) or old.get("device", ""), "origin": raw.get("origin") or old.get("origin", {}),
              "date": time.strftime("%Y-%m-%d"), "hidden": HIDDEN, "num_experts": EXPERTS,
              "deepep_version": "v1.2.1, return_recv_hook for split; null: not run",
              "cases": [{**each, "epskew": epskew.get(each["routing"]), "deepep": deepep.get(each["routing"])}
                        for each in CASES],
              "warm": warm, "variants": variants}
    (results / "h200-comparison.json").write_text(json.dumps(result, indent=1) + "\n")
    main_cases = [each["routing"] for each in VARIANT_CASES]
    raw["cases"] = [each for each in raw["cases"] if each["routing"] in main_cases]
    if raw["cases"]:
        (results / "h200-split.json").write_text(json.dumps(raw) + "\n")
    if "bench" in parts:
        for name, flags in (("h200-bench.json", ()), ("h200-bench-warm.json", ("--no-flush",))):
            run([build / "apps/epskew/epskew", "bench", "--backend", "cuda", "--num-experts", EXPERTS, "--imbalance-factors", 1, 2, 3,
                 "--iterations", 60, *flags, "--json", results / name], 200)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path)
    parser.add_argument("--results", type=pathlib.Path, default=HERE.parents[1] / "results")
    parser.add_argument("--deepep-python", default=sys.executable)
    parser.add_argument("--deepep-timeout", type=int, default=240, help="seconds for all cases of one number of ranks")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--page", action="store_true", help="only write the page, from results that are there")
    options = parser.parse_args()
    if not options.page:
        if not options.build:
            parser.error("--build is needed to measure")
        with tempfile.TemporaryDirectory() as folder:
            measure(options, pathlib.Path(folder))
    write_page(options.results)
    if failures:
        sys.exit("failed:\n" + "\n".join(failures))


if __name__ == "__main__":
    main()
