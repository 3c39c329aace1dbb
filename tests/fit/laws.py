"""The laws of include/epskew/fit/law.hpp in numpy and scipy, written from its formulas: an independent second opinion."""
import csv
import pathlib

import numpy as np
from scipy import optimize, stats

COUNTS = pathlib.Path(__file__).with_name("counts.csv")


def positions(n):
    """p = (i - 1/2) / n ascending, and the rank from the largest."""
    i = np.arange(1, n + 1)
    return (i - 0.5) / n, n + 1 - i


def lognormal(theta, n):
    return np.exp(theta[0] + theta[1] * stats.norm.ppf(positions(n)[0]))


def gamma(theta, n):
    return stats.gamma.ppf(positions(n)[0], theta[1], scale=theta[0])


def weibull(theta, n):
    return stats.weibull_min.ppf(positions(n)[0], theta[1], scale=theta[0])


def normal(theta, n):
    return stats.norm.ppf(positions(n)[0], theta[0], theta[1])


def exprank(theta, n):
    return theta[0] * np.exp(-theta[1] * (positions(n)[1] - 1))


def powerlaw(theta, n):
    return theta[0] * positions(n)[1] ** -theta[1]


def pareto(theta, n):
    return stats.pareto.ppf(positions(n)[0], theta[1], scale=theta[0])


def zipf_mandelbrot(theta, n):
    scale, s, q = theta
    return scale * ((positions(n)[1] + q) / (1 + q)) ** -s


def shifted_lognormal(theta, n):
    return theta[0] + np.exp(theta[1] + theta[2] * stats.norm.ppf(positions(n)[0]))


# family: (curve, where a user would start, which parameters must stay positive)
LAWS = {
    "lognormal": (lognormal, lambda x: [0.0, max(np.std(x), 0.05)], [1]),
    "gamma": (gamma, lambda x: [np.var(x), 1 / np.var(x)], [0, 1]),
    "weibull": (weibull, lambda x: [1.0, 1 / np.std(x)], [0, 1]),
    "normal": (normal, lambda x: [1.0, np.std(x)], [1]),
    "exprank": (exprank, lambda x: [x[-1], 2.0 / len(x)], [0, 1]),
    "powerlaw": (powerlaw, lambda x: [x[-1], 0.5], [0, 1]),
    "pareto": (pareto, lambda x: [max(x[0], 0.05), 2.0], [0, 1]),
    "zipf-mandelbrot": (zipf_mandelbrot, lambda x: [x[-1], 1.0, 2.0], [0, 1]),
    "shifted-lognormal": (shifted_lognormal, lambda x: [0.0, -0.2, max(np.std(x), 0.05)], [2]),
}


def sse_of(family, theta, x):
    curve, _, positive = LAWS[family]
    if any(theta[k] <= 0 for k in positive) or (family == "zipf-mandelbrot" and theta[2] <= -0.999):
        return 1e12
    with np.errstate(all="ignore"):
        residual = curve(theta, len(x)) - x
    return float(residual @ residual) if np.all(np.isfinite(residual)) else 1e12


def minimise_sse(family, x, restarts=0, start=None):
    """scipy.optimize.minimize over all parameters; `restarts` more runs from where the last one ended."""
    options = {"xatol": 1e-9, "fatol": 1e-13, "maxiter": 6000, "maxfev": 12000} if restarts else {}
    theta = np.array(LAWS[family][1](x) if start is None else start, dtype=float)
    for _ in range(1 + restarts):
        found = optimize.minimize(lambda t: sse_of(family, t, x), theta, method="Nelder-Mead", options=options)
        theta = found.x
    return found.x, found.fun


def read_counts(path=COUNTS):
    """{layer: counts of experts}"""
    layers = {}
    with open(path) as file:
        for row in csv.DictReader(file):
            layers.setdefault(int(row["layer"]), []).append(float(row["count"]))
    return {layer: np.array(counts) for layer, counts in layers.items()}


def sorted_loads(counts, ranks=None):
    loads = counts if ranks is None else counts.reshape(ranks, -1).sum(axis=1)
    return np.sort(loads / loads.mean())
