#!/usr/bin/env python3
"""Fits every law by least squares with scipy to the counts that fit_benchmark fits, and gives the ratio of the times.

    fit_scipy.py build/release/bench/fit_benchmark

26 layers x (64 experts, 4, 8, 16 and 32 ranks), all on one core, CPU time:
minimize   scipy.optimize.minimize over all parameters, its defaults, from a user's starting point
profiled   the best we can write: scale and offset solved linearly, scipy.optimize.minimize_scalar over the shape
"""
import json
import pathlib
import subprocess
import sys
import time

import numpy as np
from scipy import optimize, special

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/fit"))
import laws  # noqa: E402

LEVELS = [None, 4, 8, 16, 32]

# family: (basis over the shape u = ln shape, whether the law has an offset, bounds of u)
PROFILED = {
    "lognormal": (lambda u, p, r, z: np.exp(np.exp(u) * z), False, (-4.6, 1.6)),
    "gamma": (lambda u, p, r, z: special.gammaincinv(np.exp(u), p), False, (-3, 9.2)),
    "weibull": (lambda u, p, r, z: (-np.log1p(-p)) ** np.exp(-u), False, (-1.6, 5.3)),
    "exprank": (lambda u, p, r, z: np.exp(-np.exp(u) * (r - 1)), False, (-8, 2.3)),
    "powerlaw": (lambda u, p, r, z: r ** -np.exp(u), False, (-4.6, 2)),
    "pareto": (lambda u, p, r, z: (1 - p) ** (-np.exp(-u)), False, (-1.6, 5.3)),
    "shifted-lognormal": (lambda u, p, r, z: np.exp(np.exp(u) * z), True, (-4.6, 1.6)),
}


def profiled_sse(basis, x, offset):
    centre = basis.mean() if offset else 0.0
    c = basis - centre
    target = x - 1 if offset else x
    square = c @ c  # 0 where every place underflows: the search has left the laws that can be
    residual = target - (x @ c) / square * c if square > 0 else target
    return residual @ residual


def fit_profiled(family, x):
    p, r = laws.positions(len(x))
    z = special.ndtri(p)
    if family == "uniform":
        return profiled_sse(np.ones(len(x)), x, False)
    if family == "normal":
        return profiled_sse(z, x, True)
    if family == "zipf-mandelbrot":
        def cost(theta):
            q = np.exp(theta[1]) - 0.9
            return profiled_sse((r + q) ** -np.exp(theta[0]), x, False)
        return optimize.minimize(cost, [0.0, 1.0], method="Nelder-Mead").fun
    basis, offset, bounds = PROFILED[family]
    return optimize.minimize_scalar(lambda u: profiled_sse(basis(u, p, r, z), x, offset), bounds=bounds,
                                    method="bounded").fun


def fit_minimize(family, x):
    if family == "uniform":
        return float(((x - 1) ** 2).sum())
    return laws.minimise_sse(family, x)[1]


def timed(fit, cases):
    begin = time.process_time()
    for x in cases:
        for family in ["uniform", *laws.LAWS]:
            fit(family, x)
    return time.process_time() - begin


def ours(program):
    out = subprocess.run([program, "--benchmark_filter=fit_every_law", "--benchmark_format=json",
                          "--benchmark_repetitions=5"], capture_output=True, text=True, check=True).stdout
    runs = [b for b in json.loads(out)["benchmarks"] if b.get("run_type") == "iteration"]
    return np.median([run["cpu_time"] for run in runs]) / 1e3


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    cases = [laws.sorted_loads(c, ranks) for ranks in LEVELS for c in laws.read_counts().values()]
    mine = ours(sys.argv[1])
    print(f"epskew    {mine:8.3f} s")
    for name, fit in [("profiled", fit_profiled), ("minimize", fit_minimize)]:
        theirs = timed(fit, cases)
        print(f"{name:<9} {theirs:8.3f} s   {theirs / mine:7.1f} x epskew")


if __name__ == "__main__":
    main()
