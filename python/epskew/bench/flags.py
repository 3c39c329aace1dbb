"""The command line: our few flags, and all those of `epskew bench`."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from typing import NoReturn

import epskew

MODES = ("pair", "fused", "split")


@dataclass(frozen=True)
class Flags:
    """Ours. `bench` is what is left for plan_bench."""

    adapter: str
    device: str  #: "auto", "cpu" or "cuda"
    modes: tuple[str, ...] | None  #: None: all that the adapter can do
    kernels: bool
    setup_timeout_s: float
    list_adapters: bool
    help: bool
    bench: list[str]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise epskew.UsageError(f"{message} (see python -m epskew.bench --help)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m epskew.bench",
        description="Times an expert-parallel library through its adapter: identical routing, one clock, one check.",
        epilog="Below: the flags that `epskew bench` has too. --backend and --micro-batches have no meaning here and are refused.",
        allow_abbrev=False,
        add_help=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--help", "-h", action="store_true", help="this text")
    parser.add_argument("--adapter", help="a registered adapter, or module:Class")
    parser.add_argument("--list-adapters", action="store_true", help="which there are, and whether they can run here")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="[a GPU where there is one]")
    parser.add_argument(
        "--modes", help="what to time, comma-separated: pair (dispatch+combine), fused, split [all the adapter can do]"
    )
    parser.add_argument("--no-kernels", action="store_true", help="leave out the kernel durations of the CUDA profiler")
    parser.add_argument(
        "--setup-timeout", type=float, default=300, metavar="S", help="seconds the library may take to set up [300]"
    )
    return parser


def parse(argv: list[str]) -> Flags:
    """UsageError for what is wrong with our own flags."""
    ours, rest = _parser().parse_known_args(argv)
    if ours.adapter is None and not (ours.list_adapters or ours.help):
        raise epskew.UsageError("--adapter is missing (nothing says what to measure); --list-adapters shows what there is")
    if not (math.isfinite(ours.setup_timeout) and ours.setup_timeout > 0):
        raise epskew.UsageError(f"--setup-timeout {ours.setup_timeout} is not a time; give seconds")
    modes = None if ours.modes is None else tuple(ours.modes.split(","))
    for mode in modes or ():
        if mode not in MODES:
            raise epskew.UsageError(f"--modes {mode} is unknown (no such mode); known: {', '.join(MODES)}")
    return Flags(
        ours.adapter or "",
        ours.device,
        modes,
        not ours.no_kernels,
        ours.setup_timeout,
        ours.list_adapters,
        ours.help,
        rest,
    )


def help_text() -> str:
    return _parser().format_help() + "\n" + epskew.bench_help()
