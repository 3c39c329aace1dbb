"""python -m epskew.bench: times a library through its adapter. docs/adapters.md."""

from __future__ import annotations

import os
import sys

import epskew

try:
    import torch
except ImportError:
    sys.exit("epskew: python -m epskew.bench needs PyTorch (libraries take its tensors); install it, or use `epskew bench`")

from epskew.adapters import adapter_places, find_adapter

from . import flags
from .job import make_task
from .launcher import launch
from .place import Place, is_of_starter
from .rank import exit_code_of, leave, run_rank


def _list_adapters() -> None:
    for name, place in sorted(adapter_places().items()):
        try:
            reason = find_adapter(name).unusable()
        except epskew.UsageError as error:
            reason = str(error)
        print(f"{name:<12} {place:<50} {'can run here' if reason is None else f'not run: {reason}'}")


def _run(argv: list[str]) -> int:
    asked = flags.parse(argv)
    if asked.help:
        print(flags.help_text())
        return 0
    if asked.list_adapters:
        _list_adapters()
        return 0
    place = Place.of_starter(os.environ)
    if place is None:
        return launch(argv, make_task(argv))
    run_rank(argv, place, sys.stdout)
    return 0


def main() -> int:
    try:
        code = _run(sys.argv[1:])
    except (epskew.UsageError, epskew.WrongResult, epskew.RankLost, epskew.EnvironmentFailure) as error:
        print(f"epskew: {error}", file=sys.stderr)
        code = exit_code_of(error)
    except Exception as error:
        sys.excepthook(type(error), error, error.__traceback__)
        code = exit_code_of(error)
    if is_of_starter(os.environ):
        leave(code)
    return code


if __name__ == "__main__":
    sys.exit(main())
