"""Rank 0: from what the ranks bring home to a result file, tables and a page."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Callable, TextIO, cast

import numpy as np
import torch

import epskew

from .job import Task
from .visit import Report

if TYPE_CHECKING:
    from epskew._core import Phase


class Results:
    def __init__(self, task: Task, clock: str, out: TextIO) -> None:
        """`out` is where standard output goes."""
        self._plan = task.plan
        files = (task.plan.json, task.plan.csv, task.plan.html)
        self._out = out
        #: Tables go to standard error where a result goes to standard output.
        self._text = sys.stderr if "-" in files else out
        on_gpu = task.job.device == "cuda"
        self._recorder = epskew.Recorder(
            task.plan,
            backend=task.flags.adapter,
            facts=[*task.adapter.facts(), f"device: {task.job.device}"],
            clock=clock,
            libraries=_libraries(),
            num_devices=-(-task.job.num_ranks // task.job.ranks_per_device) if on_gpu else 0,
            gpu=[torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if on_gpu else None,
        )

    def add(self, visit: epskew.Visit, reports: list[Report], comparable_clocks: bool) -> None:
        """reports: [ranks]. comparable_clocks: all ranks read one clock, and start together."""
        starts = _matrix([report.samples.starts_ns for report in reports])
        memory = [report.memory_bytes for report in reports if report.memory_bytes is not None]
        kernels = _matrices([report.kernel_us for report in reports])
        self._recorder.add_visit(
            visit.round,
            _matrices([report.samples.us for report in reports]),
            misalignment_us=(starts - starts.min(axis=1, keepdims=True)) / 1e3 if comparable_clocks else None,
            kernel_us=kernels or None,
            memory_bytes=memory if len(memory) == len(reports) else None,
            flush_bytes=sum(report.flush_bytes for report in reports),
            # A visit in which the oracle found something wrong ends the run, see visit.py.
            before="passed",
            after="passed",
        )
        if visit.last:
            self._say(self._recorder.describe_round(visit.round))

    def finish(self) -> None:
        """Writes the files and prints the tables."""
        result = self._recorder.finish()
        self._say("\n" + result.describe_run().rstrip("\n"))
        for note in self._plan.notes:
            self._say(f"note: {note}")
        self._say("\n" + result.tables().strip("\n"))
        self._write("--json", self._plan.json, result.json)
        self._write("--csv", self._plan.csv, result.csv)
        self._write("--html", self._plan.html, result.html)

    def _say(self, text: str) -> None:
        print(text.rstrip("\n"), file=self._text, flush=True)

    def _write(self, flag: str, where: str | None, render: Callable[[], str]) -> None:
        if where == "-":
            self._out.write(render())
            self._out.flush()
        elif where is not None:
            epskew.write_file(flag, where, render())


def _matrix(columns: list[list[Any]]) -> np.ndarray:
    """[iterations, ranks] from the samples of each rank."""
    return np.array(columns, dtype=np.float64).T


def _matrices(ranks: list[dict[str, list[float]]]) -> dict[Phase, np.ndarray]:
    return {cast("Phase", phase): _matrix([rank[phase] for rank in ranks]) for phase in ranks[0]}


def _libraries() -> dict[str, str]:
    python = ".".join(str(part) for part in sys.version_info[:3])
    return {"python": python, "torch": str(torch.__version__), "numpy": str(np.__version__)}
