"""Routing with an exact imbalance factor, handed to torch without a copy."""

import sys

import epskew

factor = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
routing = epskew.routing(model="deepseek-v3", imbalance_factor=factor, seed=7)
topk_idx, topk_weights = routing.torch(rank=routing.hot_rank)  # what the hot rank sends itself

selections = (routing.torch()[0] >= 0).sum().item()
mine = ((routing.torch()[0] // routing.experts_per_rank) == routing.hot_rank).sum().item()
print(f"{tuple(topk_idx.shape)} {topk_idx.dtype}, {topk_weights.dtype}; digest {routing.digest}")
print(f"rank {routing.hot_rank} receives {mine} selections, the mean is {selections / routing.num_ranks:.1f}: "
      f"factor {mine * routing.num_ranks / selections:.3f}")
