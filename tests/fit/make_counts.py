#!/usr/bin/env python3
"""Writes counts.csv: 26 layers of 64 experts whose loads follow ten laws and the noise of a recording. Deterministic.

Not a recording: a committed set on which fits are compared with scipy's and timed against them.
"""
import math
import pathlib
import random
from statistics import NormalDist

EXPERTS, LAYERS, SELECTIONS = 64, 26, 50_000
Z = NormalDist().inv_cdf


def quantiles(layer):
    """A law's quantile function; the shape moves with the layer."""
    grow = 0.3 + 0.02 * layer
    return [
        lambda p: math.exp(grow * Z(p)),
        lambda p: 0.3 + math.exp(2 * grow * Z(p) - 1),
        lambda p: (-math.log1p(-p)) ** grow,
        lambda p: max(1 + 0.5 * grow * Z(p), 0.02),
        lambda p: math.exp(3 * grow * p),
        lambda p: (1 - p + 0.01) ** -grow,
        lambda p: (1 - p + 0.2) ** (-2 * grow),
    ][layer % 7]


def main():
    draw = random.Random(393)
    lines = ["layer,expert,count"]
    for layer in range(LAYERS):
        quantile = quantiles(layer)
        # Between the law's even quantiles and draws from it: noise as from layer to layer, without empty experts.
        places = [(i + 0.5 + 0.8 * (draw.random() - 0.5)) / EXPERTS for i in range(EXPERTS)]
        loads = [quantile(p) * math.exp(0.1 * draw.gauss(0, 1)) for p in places]
        draw.shuffle(loads)
        total = sum(loads)
        lines += [f"{layer},{e},{max(1, round(SELECTIONS * load / total))}" for e, load in enumerate(loads)]
    pathlib.Path(__file__).with_name("counts.csv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
