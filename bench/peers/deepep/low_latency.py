#!/usr/bin/env python3
"""Times DeepEP's low-latency dispatch and combine on routing files of `epskew gen`, kernel by kernel.

    low_latency.py routing.safetensors... [--hidden 7168] [--iterations 20] [--json FILE]

All files have the same number of ranks. Needs an installed deep_ep (v1.2.1) and PyTorch. All ranks run on device 0, a
process each, in split mode (return_recv_hook) and one after the other, so every kernel has the GPU to itself; one rank is
also run fused. Durations come from the CUDA profiler; a 256 MB buffer is zeroed before dispatch and before combine.
"""
import argparse
import json
import os
import statistics
import struct

os.environ.setdefault("NVSHMEM_REMOTE_TRANSPORT", "none")

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.profiler import ProfilerActivity, profile

PHASES = ("dispatch_send", "dispatch_recv", "combine_send", "combine_recv")


def read_routing(path):
    """topk_idx [R, T, K] and topk_weights [R, T, K] of a safetensors file."""
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        data = bytearray(file.read())
    kinds = {"I64": torch.int64, "F32": torch.float32}

    def tensor(name):
        entry = header[name]
        begin, end = entry["data_offsets"]
        return torch.frombuffer(data[begin:end], dtype=kinds[entry["dtype"]]).reshape(entry["shape"])

    return tensor("topk_idx"), tensor("topk_weights")


def kernel_durations(run, iterations, kernels_per_run):
    """[iterations][kernels_per_run] microseconds of the kernels named dispatch or combine."""
    for _ in range(3):
        run()
    with profile(activities=[ProfilerActivity.CUDA]) as prof:
        for _ in range(iterations):
            run()
        torch.cuda.synchronize()
    events = [e for e in prof.events()
              if e.device_type == torch.autograd.DeviceType.CUDA and ("dispatch" in e.name or "combine" in e.name)]
    events.sort(key=lambda e: e.time_range.start)
    times = [e.time_range.elapsed_us() for e in events]
    if len(times) != iterations * kernels_per_run:
        raise RuntimeError(f"expected {iterations * kernels_per_run} kernels, the profiler saw {len(times)}")
    return [times[i:i + kernels_per_run] for i in range(0, len(times), kernels_per_run)]


def make_buffer(group, world, options, tokens):
    import deep_ep

    size = deep_ep.Buffer.get_low_latency_rdma_size_hint(tokens, options.hidden, world, options.experts)
    return deep_ep.Buffer(group, num_rdma_bytes=size, low_latency_mode=True, num_qps_per_rank=options.experts // world,
                          explicitly_destroy=True)


def time_case(rank, world, options, group, buffer, topk, weights):
    tokens, experts, hidden = topk.shape[1], options.experts, options.hidden
    # The layout depends on the number of tokens: what another case left must not look like a signal.
    buffer.clean_low_latency_buffer(tokens, hidden, experts)
    x = torch.randn(tokens, hidden, dtype=torch.bfloat16)
    idx, w = topk[rank].cuda(), weights[rank].cuda()
    outputs = torch.randn(experts // world, world * tokens, hidden, dtype=torch.bfloat16)
    flush = torch.empty(256 << 20, dtype=torch.uint8)

    def in_turn(call):
        result = None
        for turn in range(world):
            if turn == rank:
                result = call()
                torch.cuda.synchronize()
            dist.barrier(group)
        return result

    def empty_cache():
        if rank == 0 and not options.no_flush:
            flush.zero_()
            torch.cuda.synchronize()
        dist.barrier(group)

    def split():
        empty_cache()
        *_, handle, _, hook = in_turn(
            lambda: buffer.low_latency_dispatch(x, idx, tokens, experts, use_fp8=True, return_recv_hook=True))
        in_turn(hook)
        empty_cache()
        *_, hook = in_turn(lambda: buffer.low_latency_combine(outputs, idx, w, handle, return_recv_hook=True))
        in_turn(hook)

    def fused():
        empty_cache()
        *_, handle, _, _ = buffer.low_latency_dispatch(x, idx, tokens, experts, use_fp8=True)
        empty_cache()
        buffer.low_latency_combine(outputs, idx, w, handle)
        torch.cuda.synchronize()

    result = {"split_us": kernel_durations(split, options.iterations, 4)}
    if world == 1:
        result["fused_us"] = kernel_durations(fused, options.iterations, 2)
    return result


def worker(rank, world, options, routings):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(options.port))
    torch.cuda.set_device(0)
    torch.set_default_device("cuda")
    dist.init_process_group("gloo", rank=rank, world_size=world)
    group = dist.new_group(list(range(world)))
    buffer = make_buffer(group, world, options, max(topk.shape[1] for topk, _ in routings))
    cases = []
    for name, (topk, weights) in zip(options.routing, routings):
        mine = time_case(rank, world, options, group, buffer, topk, weights)
        ranks = [None] * world
        dist.all_gather_object(ranks, mine)
        cases.append({"routing": os.path.basename(name), "ranks": ranks})
        if rank == 0:
            report(name, ranks)
    if rank == 0 and options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"hidden": options.hidden, "cases": cases}, file)
    dist.barrier()
    buffer.destroy()
    dist.destroy_process_group()


def report(name, ranks):
    print(name)
    print(f"{'kernel':<16}{'median rank':>12}{'slowest':>10}  (us)")
    rows = [(name, [statistics.median(run[i] for run in r["split_us"]) for r in ranks])
            for i, name in enumerate(PHASES)]
    if "fused_us" in ranks[0]:
        rows += [(name, [statistics.median(run[i] for run in r["fused_us"]) for r in ranks])
                 for i, name in enumerate(("dispatch", "combine"))]
    for name, values in rows:
        print(f"{name:<16}{statistics.median(values):>12.2f}{max(values):>10.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("routing", nargs="+", help="safetensors files written by epskew gen")
    parser.add_argument("--experts", type=int, default=256)
    parser.add_argument("--hidden", type=int, default=7168)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--port", type=int, default=29541)
    parser.add_argument("--no-flush", action="store_true", help="leave L2 as the half before left it")
    parser.add_argument("--json", help="write every duration of every rank")
    options = parser.parse_args()
    routings = [read_routing(name) for name in options.routing]
    worlds = {topk.shape[0] for topk, _ in routings}
    if len(worlds) != 1:
        parser.error(f"the files have different numbers of ranks ({sorted(worlds)})")
    world = worlds.pop()
    mp.spawn(worker, args=(world, options, routings), nprocs=world)


if __name__ == "__main__":
    main()
