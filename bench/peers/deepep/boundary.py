#!/usr/bin/env python3
"""What DeepEP's fused kernels take by what lies around them: boundary.py [--json FILE].

One rank, 128 tokens, hidden 7168, top-8 of 256 experts, FP8 dispatch, BF16 combine; kernel durations of the CUDA profiler,
medians in microseconds. `python -m epskew.bench` measures as in the first case. Needs deep_ep v1.2.1, torch and epskew.
"""
import argparse
import json
import statistics
import tempfile

import torch
import torch.distributed as dist
from torch.profiler import ProfilerActivity, profile

import epskew
from epskew.adapters import Batch, Job, World
from epskew.adapters.bits import bf16_tensor
from epskew.adapters.deepep import DeepEpAdapter

ITERATIONS, WARMUP = 40, 5
#: what happens before dispatch, before combine: flush (256 MB zeroed), wait (of the host for the GPU), gemm (8192³)
CASES = {
    "flush and wait before each": (("flush", "wait"), ("flush", "wait")),
    "flush before dispatch, wait before each": (("flush", "wait"), ("wait",)),
    "flush before dispatch, combine right behind": (("flush", "wait"), ()),
    "flush before each, no wait": (("flush",), ("flush",)),
    "wait before each": (("wait",), ("wait",)),
    "gemm before dispatch, combine right behind (DeepEP's test)": (("gemm",), ()),
}


def make_batch():
    routing = epskew.routing(num_processes=1, num_experts=256, num_masked=0)
    sent = epskew.Oracle(routing, 7168, data="random").input(0)
    parts = bf16_tensor(sent.x), torch.tensor(sent.topk_idx), torch.tensor(sent.topk_weights)
    return Batch(*(part.cuda() for part in parts))


def durations(adapter, batch, before):
    """{"dispatch": [µs], "combine": [µs]} of one case."""
    cache = torch.empty(256 << 20, dtype=torch.uint8, device="cuda")
    left = torch.randn(8192, 8192, device="cuda")
    acts = {"flush": cache.zero_, "wait": torch.cuda.synchronize, "gemm": lambda: left @ left}
    calls = lambda: adapter.dispatch(batch), lambda: adapter.combine(batch, adapter.results)
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        for _ in range(WARMUP + ITERATIONS):
            for names, call in zip(before, calls):
                for name in names:
                    acts[name]()
                call()
        torch.cuda.synchronize()
    found = {"dispatch": [], "combine": []}
    for event in profiled.events():
        for name, times in found.items():
            if event.device_type == torch.autograd.DeviceType.CUDA and name in event.name:
                times.append((event.time_range.start, event.time_range.elapsed_us()))
    return {name: [us for _, us in sorted(times)[WARMUP:]] for name, times in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json")
    options = parser.parse_args()
    adapter = DeepEpAdapter()
    with tempfile.TemporaryDirectory() as folder:
        dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=0, world_size=1)
        adapter.set_up(World(Job(1, 256, 8, 7168, 128, "fp8", "bf16", "cuda"), 0, dist.group.WORLD,
                             torch.device("cuda", 0), 60.0, folder))
        batch, medians = make_batch(), {}
        for name, before in CASES.items():
            found = durations(adapter, batch, before)
            medians[name] = {half: round(statistics.median(times), 2) for half, times in found.items()}
            print(f"{name:<60} {medians[name]['dispatch']:6.1f} {medians[name]['combine']:6.1f}", flush=True)
        if options.json:
            with open(options.json, "w", encoding="utf-8") as file:
                json.dump({"device": torch.cuda.get_device_name(), "torch": torch.__version__, "iterations": ITERATIONS,
                           "median_us": medians}, file, indent=1)
        adapter.tear_down()


if __name__ == "__main__":
    main()
