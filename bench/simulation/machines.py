"""Machines described to SimGrid: nodes of eight GPUs with NVLink inside and one rail of 400 Gb/s for each GPU between them.

    machines.py gpus 64 > platform.xml          # 8 nodes
    machines.py hosts 4 100e6 2e-4 > hosts.xml  # hosts behind one switch: bits a second, seconds of one way

Every GPU is a host "rank-N" with its own link in each direction: traffic inside a node uses NVLINK, traffic between nodes the
GPU's own adapter. The switches between do not block (NVLink switch of the node; a rail-optimised fat tree without
oversubscription), so a link is shared only by what one GPU sends, or receives, at the same time.
"""

import sys

GPUS_PER_NODE = 8
# NVIDIA H200 Tensor Core GPU datasheet: "NVLink: 900GB/s", both directions together.
NVLINK_BYTES_PER_S = 450e9
# NVIDIA DGX H200 user guide: eight ConnectX-7 adapters for GPUs, each 400 Gb/s InfiniBand NDR, in each direction.
RAIL_BYTES_PER_S = 400e9 / 8
# One step of a ring in NCCL's own model of these links, protocol LL (src/graph/tuning.cc, hwLat: NVLINK 0.6 us, NET 2.7 us).
NVLINK_LATENCY_S = 0.6e-6
RAIL_LATENCY_S = 2.7e-6
# SimGrid wants a computing speed; no computation is simulated.
HOST = '<host id="rank-{}" speed="1Gf"/>'


def link(name, bytes_per_s, latency_s):
    return f'<link id="{name}" bandwidth="{bytes_per_s:.0f}Bps" latency="{latency_s:.9f}s" sharing_policy="SHARED"/>'


def route(source, destination, out, into):
    return (f'<route src="rank-{source}" dst="rank-{destination}" symmetrical="NO">'
            f'<link_ctn id="{out}"/><link_ctn id="{into}"/></route>')


def document(lines):
    return "\n".join(['<?xml version="1.0"?>', '<!DOCTYPE platform SYSTEM "https://simgrid.org/simgrid.dtd">',
                      '<platform version="4.1">', '<zone id="world" routing="Full">', *lines, '</zone>', '</platform>', ''])


def gpus(ranks):
    lines = [HOST.format(rank) for rank in range(ranks)]
    for rank in range(ranks):
        for direction in ("out", "in"):
            # A route passes one link out and one in: half of the latency is theirs each.
            lines.append(link(f"nvlink-{rank}-{direction}", NVLINK_BYTES_PER_S, NVLINK_LATENCY_S / 2))
            lines.append(link(f"rail-{rank}-{direction}", RAIL_BYTES_PER_S, RAIL_LATENCY_S / 2))
    for source in range(ranks):
        for destination in range(ranks):
            if source == destination:
                continue
            kind = "nvlink" if source // GPUS_PER_NODE == destination // GPUS_PER_NODE else "rail"
            lines.append(route(source, destination, f"{kind}-{source}-out", f"{kind}-{destination}-in"))
    return document(lines)


def hosts(count, bits_per_s, latency_s):
    lines = [HOST.format(rank) for rank in range(count)]
    for rank in range(count):
        for direction in ("out", "in"):
            lines.append(link(f"cable-{rank}-{direction}", bits_per_s / 8, latency_s / 2))
    for source in range(count):
        for destination in range(count):
            if source != destination:
                lines.append(route(source, destination, f"cable-{source}-out", f"cable-{destination}-in"))
    return document(lines)


def main(kind, *numbers):
    if kind == "gpus":
        sys.stdout.write(gpus(int(numbers[0])))
    else:
        sys.stdout.write(hosts(int(numbers[0]), float(numbers[1]), float(numbers[2])))


if __name__ == "__main__":
    main(*sys.argv[1:])
