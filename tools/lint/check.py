#!/usr/bin/env python3
"""Project rules that a compiler does not check. Exit 1 with one line per offence; --self-test checks the checker."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# The data flow: an include may point to a module further left, or to itself. Backends are siblings.
LAYERS = ["support", "routing", "workload", "trace", "fit", "exchange", "backends", "measure", "report", "apps"]

# pattern -> why; library code only (src/, include/).
BANNED = {
    r"\bstd::exit\b|(?<![\w.>:])exit\(": "library code does not end the process; throw (support/error.hpp)",
    r"(?<![\w:.>])printf\(|std::cout|std::cerr": "library code does not print; return text or data",
    r"(?<![\w:.>])s?rand\(|std::mt19937|std::random_device|std::shuffle": "routing must be identical everywhere; use RandomStream",
    r"\busing namespace\b(?! hn\b)": "names a reader cannot trace",
    r"\bTODO\b|\bFIXME\b|\bXXX\b": "finish it or file an issue",
}
# file -> banned patterns it may use, and why.
EXCEPTIONS = {
    "src/support/error.cpp": "reports a broken contract just before abort",
}
SOURCE = {".hpp", ".cpp", ".cu", ".cuh"}


def module_of(path):
    parts = path.parts
    if parts[0] == "include":
        return parts[2]
    return parts[1] if parts[0] == "src" else parts[0]


def strip_comments(text):
    return re.sub(r"//[^\n]*|/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)


def check_layers(path, text):
    here = module_of(path)
    if here not in LAYERS:
        return
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#include "(?:epskew/)?(\w+)/([^"]+)"', line)
        if not match or match.group(1) not in LAYERS:
            continue
        target = match.group(1)
        if LAYERS.index(target) > LAYERS.index(here):
            yield number, f"{here} may not include {target} (it comes later in the data flow)"
        if here == target == "backends" and path.parts[0] == "src" and len(path.parts) > 3:
            sibling = match.group(2).split("/")[0]
            if "/" in match.group(2) and sibling != path.parts[2]:
                yield number, f"backend {path.parts[2]} may not include its sibling {sibling}"


def check_banned(path, text):
    if path.parts[0] not in ("src", "include") or str(path) in EXCEPTIONS:
        return
    code = strip_comments(text)
    for pattern, why in BANNED.items():
        where = text if "TODO" in pattern else code
        for match in re.finditer(pattern, where):
            yield where.count("\n", 0, match.start()) + 1, f"'{match.group().strip()}': {why}"


def check_backend_ifdefs(path, text):
    if path.parts[:2] == ("src", "backends") or path.suffix in (".cu", ".cuh"):
        return
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"\s*#\s*(if|ifdef|elif).*(EPSKEW_HAVE_|__CUDACC__|OMPI_|MPICH)", line):
            yield number, "a backend's #ifdef belongs under src/backends or cmake"


def check_file(path, text):
    for check in (check_layers, check_banned, check_backend_ifdefs):
        yield from check(path, text)


def tracked_sources():
    listed = subprocess.run(["git", "ls-files", "src", "include", "apps"], cwd=ROOT, capture_output=True, text=True)
    files = listed.stdout.split() if listed.returncode == 0 else []
    if not files:  # a source archive without git
        files = [str(p.relative_to(ROOT)) for d in ("src", "include", "apps") for p in (ROOT / d).rglob("*")]
    return [pathlib.Path(f) for f in files if pathlib.Path(f).suffix in SOURCE and (ROOT / f).is_file()]


def self_test():
    """Each rule must catch its sample: a path, the offending line, a word of the message."""
    samples = [
        ("src/routing/x.cpp", '#include "epskew/measure/samples.hpp"', "later in the data flow"),
        ("src/backends/cpu/x.cpp", '#include "backends/cuda/kernels.hpp"', "sibling"),
        ("src/fit/x.cpp", "std::exit(1);", "end the process"),
        ("src/fit/x.cpp", 'printf("x");', "does not print"),
        ("src/fit/x.cpp", "std::mt19937 random;", "RandomStream"),
        ("include/epskew/fit/x.hpp", "using namespace std;", "cannot trace"),
        ("src/fit/x.cpp", "// TODO later", "finish it"),
        ("src/measure/x.cpp", "#ifdef EPSKEW_HAVE_CUDA", "under src/backends"),
    ]
    failures = [s for s in samples if not any(s[2] in m for _, m in check_file(pathlib.Path(s[0]), s[1] + "\n"))]
    clean = '#include "epskew/support/error.hpp"\n// exit(1) in a comment is fine\nfmt::print(file, "x");\n'
    false_alarms = list(check_file(pathlib.Path("src/routing/x.cpp"), clean))
    for sample in failures:
        print(f"self-test: not caught: {sample}")
    for alarm in false_alarms:
        print(f"self-test: false alarm: {alarm}")
    return 1 if failures or false_alarms else 0


def main():
    if "--self-test" in sys.argv:
        return self_test()
    offences = [f"{p}:{n}: {m}" for p in tracked_sources() for n, m in check_file(p, (ROOT / p).read_text())]
    print("\n".join(offences) or "lint: clean")
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
