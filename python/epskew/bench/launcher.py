"""Starts a process for every rank of this machine, watches over them, and leaves none behind."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import epskew

from .board import GRACE_S, Board, describe
from .job import Task
from .rank import EXIT_CODES, make_board, make_folder

_POLL_S = 0.05
_PR_SET_PDEATHSIG = 1
_LOST = EXIT_CODES[epskew.RankLost]


def launch(argv: list[str], task: Task) -> int:
    """Runs the task and returns the exit code; says on standard error what went wrong."""
    folder = Path(make_folder())
    ranks = RankProcesses(argv, task, folder)
    # A launcher that is told to end takes its ranks with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        code, message = ranks.wait()
    except KeyboardInterrupt:
        code, message = 130, "interrupted"
    finally:
        ranks.end()
        shutil.rmtree(folder, ignore_errors=True)
    if message:
        print(f"epskew: {message}", file=sys.stderr)
    return code


class RankProcesses:
    def __init__(self, argv: list[str], task: Task, folder: Path) -> None:
        self._folder, self._task = folder, task
        (folder / "argv.json").write_text(json.dumps(argv), encoding="utf-8")
        self._size = task.plan.num_ranks
        self._board: Board = make_board(task, folder, list(range(self._size)), None)
        self._processes = [self._start(rank) for rank in range(self._size)]

    def _start(self, rank: int) -> subprocess.Popen[bytes]:
        environment = dict(os.environ, EPSKEW_RANK=str(rank), EPSKEW_SIZE=str(self._size))
        # All ranks are here: no need to ask which network they share.
        environment.setdefault("GLOO_SOCKET_IFNAME", "lo")
        # A thread each, as torchrun does: more would fight for the cores.
        environment.setdefault("OMP_NUM_THREADS", "1")
        command = [sys.executable, "-m", "epskew.bench.rank", str(self._folder)]
        return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent)

    def wait(self) -> tuple[int, str]:
        """(exit code, what went wrong)."""
        while True:
            time.sleep(_POLL_S)
            codes = [process.poll() for process in self._processes]
            if all(code == 0 for code in codes):
                return 0, ""
            if any(codes):
                return self._explain()
            if self._board.is_over():
                left = ", ".join(f"rank {rank}" for rank, code in enumerate(codes) if code is None)
                return 0, f"{left} did not end when all was done (the library waits for something); it was ended"
            stuck = self._board.stuck()
            if stuck:
                return _LOST, f"{describe(stuck)} took too long; the run is ended"

    def _explain(self) -> tuple[int, str]:
        """One has failed: hears the others, and finds the cause among the consequences."""
        states = {state.rank: state for state in self._board.states()}
        self._board.stop()
        deadline = time.monotonic() + GRACE_S
        while time.monotonic() < deadline and None in [process.poll() for process in self._processes]:
            time.sleep(_POLL_S)
        outcomes = {}
        for rank, process in enumerate(self._processes):
            file = self._folder / f"outcome-{rank}.json"
            if file.exists():
                outcomes[rank] = json.loads(file.read_text(encoding="utf-8"))
            elif process.returncode:
                where = f" in {states[rank].where}" if rank in states else ""
                return _LOST, f"rank {rank} {_how_ended(process.returncode)}{where}"
        # A lost rank is what the others see of any failure, so any other outcome comes first.
        first = min(outcomes.values(), key=lambda outcome: (outcome["code"] == _LOST, outcome["code"] == 1))
        return first["code"], first["message"]

    def end(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                # A stopped process takes no other signal.
                process.kill()
        for process in self._processes:
            process.wait()


def _how_ended(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"exited with status {code}"


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
