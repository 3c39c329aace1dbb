"""Gives DeepEP's tests/test_low_latency.py our routing: skew_deepep_test.py test_low_latency.py > skewed_test.py

Adds the three lines of docs/adapters.md; the test then takes --distribution, --imbalance-factors and --routing-seed.
"""

import pathlib
import re
import sys

# Before the first, after the second and before the third place: (pattern, line, whether it goes after the match).
CHANGES = [
    (r"^import ", "from epskew.adapters import deepep_test as skew", False),
    (r"^ +topk_idx\[.*\] = -1\n", "topk_idx = skew.topk_idx(rank, num_ranks, num_tokens, num_topk, num_experts)", True),
    (r"^ +args = parser\.parse_args\(\)", "skew.add_arguments(parser)", False),
]


def skewed(text):
    for pattern, line, after in CHANGES:
        found = re.search(pattern, text, re.M)
        if not found:
            sys.exit(f"nothing in this file matches {pattern!r} (another version of the test?); add by hand: {line}")
        indent = re.match(" *", found.group()).group()
        # The masking loop is one level deeper than what comes after it.
        line = indent[4 if after else 0 :] + line + "\n"
        at = found.end() if after else found.start()
        text = text[:at] + line + text[at:]
    return text


sys.stdout.write(skewed(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")))
