"""`epskew fit` against scipy, to four digits, on counts.csv; scipy evaluates the laws from their formulas (laws.py)."""
import importlib.util
import json
import os
import subprocess
import unittest

HAS_SCIPY = all(importlib.util.find_spec(name) for name in ("numpy", "scipy"))
if HAS_SCIPY:
    import laws
    import numpy as np
    from scipy import stats

RANKS = [16]
LAYERS = range(0, 26, 2)
DIGITS = 1e-4


def fits_of(report):
    """(num_ranks or None, layer, family) -> the family's fit, over the whole report."""
    return {
        (level["num_ranks"], layer["layer"], fit["family"]): fit
        for level in report["levels"]
        for layer in level["layers"]
        for fit in layer["fits"]
    }


def values(fit):
    return [parameter["value"] for parameter in fit["parameters"]]


@unittest.skipUnless(HAS_SCIPY, "numpy and scipy are not installed")
class ScipyTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        command = [os.environ["EPSKEW"], "fit", str(laws.COUNTS), "--num-processes", ",".join(map(str, RANKS)),
                   "--layers", ",".join(map(str, LAYERS))]
        out = subprocess.run([*command, "--bootstrap", "0", "--json", "-"], capture_output=True, check=True).stdout
        cls.fits = fits_of(json.loads(out))
        cls.loads = {
            (ranks, layer): laws.sorted_loads(counts, ranks)
            for layer, counts in laws.read_counts().items()
            if layer in LAYERS
            for ranks in [None, *RANKS]
        }

    def cases(self, family):
        for (ranks, layer), x in self.loads.items():
            yield f"{family}, layer {layer}, {ranks or 'experts'}", x, self.fits[ranks, layer, family]

    def assert_digits(self, mine, theirs, what, floor=1e-3):
        self.assertLessEqual(abs(mine - theirs), DIGITS * max(abs(theirs), floor), f"{what}: {mine} against {theirs}")

    def test_the_curve_is_that_of_the_parameters(self):
        for family, (curve, _, _) in laws.LAWS.items():
            for what, x, fit in self.cases(family):
                theirs = curve(values(fit["least_squares"]), len(x))
                np.testing.assert_allclose(fit["least_squares"]["curve"], theirs, rtol=2e-5, atol=2e-5, err_msg=what)

    def test_no_minimum_of_scipy_is_lower(self):
        """minimize, restarted, from a user's start; for laws of two parameters it must also be the same minimum."""
        for family in laws.LAWS:
            for what, x, fit in self.cases(family):
                mine = fit["least_squares"]
                if mine["at_bound"]:
                    continue  # the search ends at a limit that minimize has not
                theta, sse = laws.minimise_sse(family, x, restarts=2)
                self.assertLessEqual(mine["sse"], sse * (1 + DIGITS), what)
                if len(theta) > 2:
                    continue  # from a user's start minimize may end in a side valley
                self.assert_digits(mine["sse"], sse, what)
                for name, one, other in zip(mine["parameters"], values(mine), theta):
                    self.assert_digits(one, other, f"{what} {name['name']}", floor=0.1)

    def test_three_parameters_are_a_minimum(self):
        """Started at our parameters, minimize finds nothing lower."""
        for family in ("zipf-mandelbrot", "shifted-lognormal"):
            for what, x, fit in self.cases(family):
                mine = fit["least_squares"]
                if mine["at_bound"]:
                    continue
                _, sse = laws.minimise_sse(family, x, restarts=1, start=values(mine))
                self.assertLessEqual(mine["sse"], sse * (1 + DIGITS), what)

    def test_uniform(self):
        for what, x, fit in self.cases("uniform"):
            self.assert_digits(fit["least_squares"]["sse"], float(((x - 1) ** 2).sum()), what)

    def check_likelihood(self, family, fit_them, to_theirs):
        for what, x, fit in self.cases(family):
            mine = fit["likelihood"]
            frozen_args = fit_them(x)
            for name, one, other in zip(mine["parameters"], values(mine), to_theirs(frozen_args)):
                self.assert_digits(one, other, f"{what} {name['name']}", floor=0.1)
            yield what, x, mine, frozen_args

    def check_distribution(self, family, distribution, fit_them, to_theirs):
        for what, x, mine, arguments in self.check_likelihood(family, fit_them, to_theirs):
            log_likelihood = float(distribution.logpdf(x, *arguments).sum())
            self.assert_digits(mine["log_likelihood"], log_likelihood, what, floor=1)
            k = len(mine["parameters"])
            self.assert_digits(mine["aic"], 2 * k - 2 * log_likelihood, what, floor=1)
            self.assert_digits(mine["bic"], k * np.log(len(x)) - 2 * log_likelihood, what, floor=1)
            self.assert_digits(mine["ks"], stats.kstest(x, distribution.cdf, arguments).statistic, what, floor=0.1)

    def test_lognormal_likelihood(self):
        self.check_distribution("lognormal", stats.lognorm, lambda x: stats.lognorm.fit(x, floc=0),
                                lambda a: [np.log(a[2]), a[0]])

    def test_gamma_likelihood(self):
        self.check_distribution("gamma", stats.gamma, lambda x: stats.gamma.fit(x, floc=0), lambda a: [a[2], a[0]])

    def test_weibull_likelihood(self):
        # weibull_min.fit stops at three digits: sharpened from there.
        def fit_them(x):
            from scipy import optimize

            k, _, scale = stats.weibull_min.fit(x, floc=0)
            cost = lambda t: -stats.weibull_min.logpdf(x, t[0], 0, t[1]).sum()  # noqa: E731
            found = optimize.minimize(cost, [k, scale], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-11})
            return found.x[0], 0, found.x[1]

        self.check_distribution("weibull", stats.weibull_min, fit_them, lambda a: [a[2], a[0]])

    def test_normal_likelihood(self):
        self.check_distribution("normal", stats.norm, stats.norm.fit, list)

    def test_pareto_likelihood(self):
        # In closed form: scipy's own search fails on some of these.
        self.check_distribution("pareto", stats.pareto, lambda x: (1 / np.log(x / x[0]).mean(), 0, x[0]),
                                lambda a: [a[2], a[0]])

    def test_exprank_likelihood(self):
        def fit_them(x):
            return x[0], x[-1]

        def to_ours(bounds, n):
            rate = np.log(bounds[1] / bounds[0]) / n
            return [bounds[1] * np.exp(-rate / 2), rate]

        for what, x, fit in self.cases("exprank"):
            bounds = fit_them(x)
            for one, other in zip(values(fit["likelihood"]), to_ours(bounds, len(x))):
                self.assert_digits(one, other, what, floor=0.01)
            inside = np.clip(x, bounds[0] * (1 + 1e-12), bounds[1] * (1 - 1e-12))
            log_likelihood = float(stats.loguniform.logpdf(inside, *bounds).sum())
            self.assert_digits(fit["likelihood"]["log_likelihood"], log_likelihood, what, floor=1)

    def test_shifted_lognormal_likelihood(self):
        """A local maximum: started there, scipy finds nothing likelier nearby."""
        from scipy import optimize

        for what, x, fit in self.cases("shifted-lognormal"):
            mine = fit["likelihood"]
            if mine["at_bound"]:
                continue

            def cost(theta):
                return -stats.lognorm.logpdf(x, theta[2], theta[0], np.exp(theta[1])).sum()

            self.assert_digits(mine["log_likelihood"], -cost(values(mine)), what, floor=1)
            found = optimize.minimize(cost, values(mine), method="Nelder-Mead",
                                      options={"initial_simplex": [np.array(values(mine)) + 1e-3 * np.eye(4, 3)[i] for i in range(4)]})
            self.assertLessEqual(-found.fun, mine["log_likelihood"] + 1e-4 * max(1, abs(found.fun)), what)


if __name__ == "__main__":
    if not HAS_SCIPY:
        print("SKIPPED: numpy and scipy are not installed (apt-get install python3-scipy)")
        raise SystemExit(77)
    unittest.main()
