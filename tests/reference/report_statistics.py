"""Expected values of the registry's statistics, by SciPy and statsmodels: writes tests/data/report_statistics.json."""

import json
import pathlib

import numpy as np
import scipy.optimize
import scipy.stats as st
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

random = np.random.default_rng(7)
values = {}


def intervals():
    cases = []
    for n in (2, 3, 5, 12):
        sample = random.normal(0.6, 0.03, n)
        for alpha in (0.05, 0.01):
            low, high = st.t.interval(1 - alpha, n - 1, np.mean(sample), st.sem(sample))
            cases.append({"values": sample.tolist(), "alpha": alpha, "low": low, "high": high})
    values["t_interval"] = cases


def paired_tests():
    cases = []
    for n, shift in ((2, 0.0), (3, 0.01), (5, 0.03), (8, 0.2), (20, 0.001)):
        one, other = random.normal(0.6 + shift, 0.02, n), random.normal(0.6, 0.02, n)
        cases.append({"differences": (one - other).tolist(), "p": st.ttest_rel(one, other).pvalue})
    values["paired_t_test"] = cases


def holm():
    cases = []
    for n in (1, 2, 5, 15):
        p = random.uniform(0, 0.08, n)
        cases.append({"p": p.tolist(), "adjusted": multipletests(p, method="holm")[1].tolist()})
    values["holm"] = cases


def half_width(seeds, seed_error, picture_error, alpha):
    of_seeds = st.t.isf(alpha / 2, seeds - 1) * seed_error if seed_error else 0
    of_pictures = st.norm.isf(alpha / 2) * picture_error
    if seeds == 2 and of_seeds and of_pictures:
        return max(of_seeds - of_pictures / 2, of_pictures)
    exponent = 2 + 2 / (seeds - 2) if seeds > 2 else 2
    return (of_seeds ** exponent + of_pictures ** exponent) ** (1 / exponent)


def both_parts():
    cases = []
    for seeds, seed_error, picture_error, difference in (
        (2, 0.004, 0.006, 0.05), (2, 0.001, 0.006, 0.011), (3, 0.01, 0.004, 0.03), (5, 0.002, 0.009, 0.02), (3, 0, 0.01, 0.021),
        (4, 0.01, 0, 0.02), (3, 0.001, 0.001, 0.05),
    ):
        p = np.exp(scipy.optimize.brentq(
            lambda logarithm: half_width(seeds, seed_error, picture_error, np.exp(logarithm)) - difference,
            -300, -1e-12, xtol=1e-14, rtol=1e-14,
        ))
        cases.append({
            "seeds": seeds, "seed_error": seed_error, "picture_error": picture_error, "difference": difference, "p": p,
            "half_width": half_width(seeds, seed_error, picture_error, 0.05),
        })
    values["both_parts"] = cases


def power_of(effect, n, alpha):
    """TTestPower().power, but for SciPy's lower tail, which is not a number where it is far below rounding."""
    limit, shift = st.t.isf(alpha / 2, n - 1), effect * np.sqrt(n)
    value = st.nct.sf(limit, n - 1, shift) + np.nan_to_num(st.nct.cdf(-limit, n - 1, shift))
    theirs = TTestPower().power(effect, n, alpha)
    assert np.isnan(theirs) or abs(theirs - value) < 1e-12
    return value


def power():
    cases = []
    for n in (2, 3, 5, 12, 40):
        for effect in (0.0, 0.3, 1.0, 4.0):
            for alpha in (0.05, 0.05 / 7):
                cases.append({
                    "n": n, "effect": effect, "alpha": alpha,
                    "power": power_of(effect, n, alpha),
                })
    values["power"] = cases


def detectable():
    cases = []
    for n, alpha, spread in ((2, 0.05, 0.02), (3, 0.05, 0.02), (3, 0.05 / 7, 0.03), (12, 0.05, 0.02), (40, 0.01, 0.1)):
        def lack(effect):
            return power_of(effect, n, alpha) - 0.8

        enough = 0.1
        while lack(enough) < 0:
            enough *= 1.2
        effect = scipy.optimize.brentq(lack, 0, enough, xtol=1e-14, rtol=1e-14)
        cases.append({"seeds": n, "alpha": alpha, "spread": spread, "difference": effect * spread})
    values["detectable_difference"] = cases


def detectable_by_pictures():
    cases = []
    for alpha, picture_error in ((0.05, 0.01), (0.05 / 7, 0.02), (0.001, 0.3)):
        limit = scipy.stats.norm.isf(alpha / 2)

        def lack(effect):
            return scipy.stats.norm.sf(limit - effect) + scipy.stats.norm.cdf(-limit - effect) - 0.8

        effect = scipy.optimize.brentq(lack, 0, 20, xtol=1e-14, rtol=1e-14)
        cases.append({"alpha": alpha, "picture_error": picture_error, "difference": effect * picture_error})
    values["detectable_difference_of_pictures"] = cases


for make in (intervals, paired_tests, holm, both_parts, power, detectable, detectable_by_pictures):
    make()
path = pathlib.Path(__file__).parents[1] / "data/report_statistics.json"
path.write_text(json.dumps(values, indent=1) + "\n")
