"""What every rank process does, whoever started it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn, TextIO

import torch
import torch.distributed as dist

import epskew
from epskew.adapters import World

from .board import Board, Limits, describe
from .job import Task, make_task
from .meeting import Meeting
from .place import Place
from .results import Results
from .visit import Visitor

#: Exit codes of docs: the user's mistake, a wrong result, a lost rank; anything else is 1.
EXIT_CODES = {epskew.UsageError: 2, epskew.WrongResult: 3, epskew.RankLost: 4}
_WATCH_S = 0.5


def exit_code_of(error: BaseException) -> int:
    return next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), 1)


def run_rank(argv: list[str], place: Place, out: TextIO) -> None:
    """One rank's part of the run. Raises what went wrong."""
    task = make_task(argv, place.local_size)
    if place.size != task.plan.num_ranks:
        raise epskew.UsageError(
            f"--num-processes {task.plan.num_ranks} does not fit this job ({place.size} processes were started); "
            f"give --num-processes {place.size}"
        )
    device = _device_of(task, place)
    dist.init_process_group(
        "gloo",
        init_method=place.init_method,
        rank=place.rank,
        world_size=place.size,
        timeout=timedelta(seconds=task.flags.setup_timeout_s),
    )
    group = dist.group.WORLD
    folder, ranks_here = _meet_on_host(place, group)
    board = make_board(task, folder, ranks_here, place.rank)
    if place.folder is None:
        _watch(board, folder)
    try:
        _run(task, place, World(task.job, place.rank, group, device, task.plan.timeout_s, str(folder)), board, out)
    except (epskew.UsageError, epskew.WrongResult, epskew.RankLost):
        raise
    except RuntimeError:
        # A library that lost its peer says so in its own words; ours name the rank.
        time.sleep(_WATCH_S)
        board.raise_for_dead()
        raise
    finally:
        _remove(place, folder)


def _remove(place: Place, folder: Path) -> None:
    """The folder of a host whose ranks somebody else started; a launcher removes its own."""
    if place.folder is None:
        shutil.rmtree(folder, ignore_errors=True)


def make_board(task: Task, folder: Path, ranks: list[int], me: int | None) -> Board:
    limits = Limits(task.plan.timeout_s, task.flags.setup_timeout_s)
    return Board(folder / "board", ranks, limits, [planned.label for planned in task.plan.rounds], me)


def _run(task: Task, place: Place, world: World, board: Board, out: TextIO) -> None:
    meeting = Meeting(board, world.group, place.rank, place.size, in_turns=task.job.ranks_per_device > 1)
    _require_same_routings(task, meeting)
    board.enter("set-up")
    adapter = task.adapter()
    adapter.set_up(world)
    meeting.meet()
    _remove(place, Path(world.meeting_place))
    visitor = Visitor(task, adapter, meeting, place.rank, world.device)
    results = Results(task, visitor.clock.name, out) if place.rank == 0 else None
    for visit in task.plan.visits:
        reports = meeting.collect(visitor.visit(visit))
        if results:
            results.add(visit, reports, meeting.one_host and not meeting.in_turns)
    if results:
        results.finish()
    meeting.meet()
    board.enter("tear-down")
    adapter.tear_down()
    meeting.collect(None)
    board.enter("done")
    dist.destroy_process_group()


def _device_of(task: Task, place: Place) -> torch.device:
    if task.job.device == "cpu":
        return torch.device("cpu")
    # Neighbours share a device: CacheFlush and the record's number of devices count on it.
    device = torch.device("cuda", place.local_rank // task.job.ranks_per_device)
    torch.cuda.set_device(device)
    return device


def _require_same_routings(task: Task, meeting: Meeting) -> None:
    # Every process makes its own; one made from another file would exchange nonsense.
    digests = meeting.collect([planned.routing.digest for planned in task.plan.rounds])
    for rank, theirs in enumerate(digests):
        if theirs != digests[0]:
            raise epskew.UsageError(
                f"rank {rank} has other routings than rank 0 (its flags or files differ); give all ranks the same"
            )


def _meet_on_host(place: Place, group: Any) -> tuple[Path, list[int]]:
    """A folder in memory that all ranks of this host share, and which they are. Collective."""
    mine = str(place.folder or "")
    if place.folder is None and place.local_rank == 0:
        mine = make_folder()
    everyone: list[Any] = [None] * place.size
    dist.all_gather_object(everyone, (_host(), mine), group=group)
    here = [(rank, folder) for rank, (host, folder) in enumerate(everyone) if host == _host()]
    return Path(next(folder for _, folder in here if folder)), [rank for rank, _ in here]


def make_folder() -> str:
    """In memory where there is such a place, so that the ranks' board costs no disk writes."""
    return tempfile.mkdtemp(prefix="epskew-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)


def _host() -> str:
    return socket.gethostname() + Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")


def _watch(board: Board, folder: Path) -> None:
    """Ends this process when a rank of this host is stuck, or this one when all is done: somebody else started it, so
    nobody watches from outside."""

    def look() -> None:
        while True:
            time.sleep(_WATCH_S)
            if board.is_over():
                leave(0)
            stuck = board.stuck()
            if stuck:
                print(f"epskew: {describe(stuck)} took too long; the run is ended", file=sys.stderr)
                shutil.rmtree(folder, ignore_errors=True)
                leave(EXIT_CODES[epskew.RankLost])

    threading.Thread(target=look, daemon=True).start()


def leave(code: int) -> NoReturn:
    """Ends this process at once: threads and destructors of a library in the middle of an exchange may wait for ever."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> NoReturn:
    """A rank that the launcher started: `python -m epskew.bench.rank FOLDER`. Leaves its outcome in the folder."""
    folder = Path(sys.argv[1])
    place = Place.of_launcher(folder)
    # Libraries print what they like; standard output is for results.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        run_rank(json.loads((folder / "argv.json").read_text(encoding="utf-8")), place, out)
    except Exception as error:
        code = exit_code_of(error)
        message = str(error) if code != 1 else f"rank {place.rank}: {type(error).__name__}: {error}"
        draft = folder / f"outcome-{place.rank}.draft"
        draft.write_text(json.dumps({"code": code, "message": message}), encoding="utf-8")
        draft.rename(folder / f"outcome-{place.rank}.json")
        if code == 1:
            sys.excepthook(*sys.exc_info())
        leave(code)
    out.flush()
    leave(0)


if __name__ == "__main__":
    main()
