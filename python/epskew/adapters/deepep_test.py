"""Our routing in DeepEP's own tests/test_low_latency.py: three lines, see docs/adapters.md.

    from epskew.adapters import deepep_test as skew                       # 1: with the imports
    skew.add_arguments(parser)                                            # 3: before parser.parse_args()
    topk_idx = skew.topk_idx(rank, num_ranks, num_tokens, num_topk, num_experts)  # 2: in test_main, after the masking loop
"""

from __future__ import annotations

import argparse
import sys

import torch

import epskew


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--distribution, --imbalance-factors (one a run) and --routing-seed."""
    parser.add_argument("--distribution", default=None, help="family of the rank loads [lognormal]")
    parser.add_argument("--imbalance-factors", type=float, default=None, help="one: largest rank load / mean [uniform]")
    parser.add_argument("--routing-seed", type=int, default=0, help="of the routing")


def topk_idx(rank: int, num_ranks: int, num_tokens: int, num_topk: int, num_experts: int) -> torch.Tensor:
    """[T, K] int64 on the current device, masked entries included, as the flags of this program's command line ask."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_arguments(parser)
    # The test passes its flags to its processes, not to the function that makes the routing; they all see argv.
    flags = parser.parse_known_args(sys.argv[1:])[0]
    routing = epskew.routing(
        num_processes=num_ranks,
        num_tokens=num_tokens,
        num_topk=num_topk,
        num_experts=num_experts,
        distribution=flags.distribution,
        imbalance_factor=flags.imbalance_factors,
        seed=flags.routing_seed,
    )
    if rank == 0:
        print(f"epskew routing {routing.digest}: imbalance factor {routing.factor:.4f}, hot rank {routing.hot_rank}")
    ids = routing.torch(rank)[0].clone()
    return ids.to("cuda") if torch.cuda.is_available() else ids
