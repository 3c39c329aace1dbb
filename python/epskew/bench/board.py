"""What the ranks of one host tell each other without messages: who has arrived, what each one is doing, since when.

A file in memory that every rank maps. Each word has one writer, so nothing is locked.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

import numpy as np

from epskew import RankLost

#: Activities in which a rank exchanges: none may last longer than --timeout. The others have --setup-timeout.
PHASES = (
    "dispatch", "combine", "dispatch_send", "dispatch_recv", "combine_send", "combine_recv", "dispatch_combine",
)  # fmt: skip
#: All that a rank can be doing; the index is what stands on the board.
_ACTIVITIES = ("start", "set-up", "waiting", "oracle", "timing", "collecting", "tear-down", "done") + PHASES
_STEP, _ACTIVITY, _SINCE, _ROUND, _ARRIVALS, _PID, _STOP, _WORDS = range(8)
_GONE, _STOPPED = ("", "Z", "X"), ("T", "t")
#: How long a rank may take to end once all are done, or to say what it saw once one has failed.
GRACE_S = 3.0
#: Polls between two looks at the clock and at whether the others live.
_POLLS = 2048


@dataclass(frozen=True)
class Limits:
    """Seconds that a rank may spend on one activity."""

    phase_s: float
    other_s: float

    def of(self, activity: str) -> float:
        return self.phase_s if activity in PHASES else self.other_s


@dataclass(frozen=True)
class RankState:
    """What one rank was doing when somebody looked."""

    rank: int
    step: int  #: grows with every change of activity
    activity: str
    seconds: float  #: since the activity began
    round: str  #: label of its round, "" before the first
    alive: bool
    stopped: bool  #: by a signal

    @property
    def where(self) -> str:
        return self.activity + (f" of round {self.round}" if self.round else "")


class Board:
    def __init__(
        self, path: Path, ranks: Sequence[int], limits: Limits, rounds: Sequence[str], me: int | None = None
    ) -> None:
        """`ranks` live on this host; `me` is one of them, or None for who only looks on; `rounds` are labels."""
        self.ranks, self._limits, self._rounds = list(ranks), limits, list(rounds)
        self._rank, self._me = me, None if me is None else self.ranks.index(me)
        with open(path, "a+b") as file:
            file.truncate(len(self.ranks) * _WORDS * 8)
        self._words = np.memmap(path, dtype=np.int64, mode="r+", shape=(len(self.ranks), _WORDS))
        self._arrivals = self._words[:, _ARRIVALS]
        if self._me is not None:
            self._words[self._me, _PID] = os.getpid()
            self.enter("start")

    def enter(self, activity: str) -> None:
        """This rank now does `activity`."""
        mine = self._words[self._me]
        mine[_SINCE] = time.monotonic_ns()
        mine[_ACTIVITY] = _ACTIVITIES.index(activity)
        mine[_STEP] += 1

    def enter_round(self, index: int) -> None:
        """This rank now works on that round."""
        self._words[self._me, _ROUND] = index + 1

    def stop(self) -> None:
        """Tells all who wait that the run is over."""
        self._words[:, _STOP] = 1

    def meet(self) -> None:
        """Waits until every rank of this host has come here. RankLost names those that died or take too long."""
        goal = int(self._arrivals[self._me]) + 1
        self.enter("waiting")
        self._arrivals[self._me] = goal
        polls = 0
        while self._arrivals.min() < goal:
            polls += 1
            if polls > 16:
                os.sched_yield()
            if polls % _POLLS == 0:
                self._look_around(goal)

    def _look_around(self, goal: int) -> None:
        missing = [state for state in self.states() if self._arrivals[self.ranks.index(state.rank)] < goal]
        self.raise_for_dead(missing)
        if self._words[self._me, _STOP]:
            raise RankLost("the run was ended by another rank")
        late = [state for state in missing if self._is_late(state)]
        if late:
            raise RankLost(f"rank {self._rank} waited in vain for {describe(late)}")

    def raise_for_dead(self, states: Sequence[RankState] | None = None) -> None:
        """RankLost where one of these ranks (unset: any of this host) is no more."""
        dead = [state for state in (self.states() if states is None else states) if not state.alive]
        if dead:
            raise RankLost(", ".join(f"rank {state.rank} died in {state.where}" for state in dead))

    def _is_late(self, state: RankState) -> bool:
        return state.activity != "waiting" and state.seconds > self._limits.of(state.activity)

    def states(self) -> list[RankState]:
        """Of every rank that has begun."""
        now = time.monotonic_ns()
        states = []
        for rank, words in zip(self.ranks, np.array(self._words)):
            if words[_PID] == 0:
                continue
            activity = _ACTIVITIES[words[_ACTIVITY]]
            process = _process_state(int(words[_PID]))
            states.append(
                RankState(
                    rank,
                    int(words[_STEP]),
                    activity,
                    (now - int(words[_SINCE])) / 1e9,
                    self._rounds[words[_ROUND] - 1] if words[_ROUND] > 0 else "",
                    activity == "done" or process not in _GONE,
                    process in _STOPPED,
                )
            )
        return states

    def is_over(self) -> bool:
        """Whether all ranks of this host are done, and have been for the grace period: what still runs may never end."""
        states = self.states()
        return len(states) == len(self.ranks) and all(
            state.activity == "done" and state.seconds > GRACE_S for state in states
        )

    def stuck(self) -> list[RankState]:
        """The ranks that keep the others: alive, and at one thing for too long.

        Where all are, as in a collective call that one does not leave, those that a signal has stopped, or else those
        that have come least far.
        """
        states = [state for state in self.states() if state.alive and state.activity != "done"]
        late = [state for state in states if self._is_late(state)]
        stopped = [state for state in late if state.stopped]
        if stopped or len(late) < len(states):
            return stopped or late
        least = min((state.step for state in late), default=0)
        return [state for state in late if state.step == least]


def _process_state(pid: int) -> str:
    """The letter that the kernel gives it, see proc(5); "" where there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            # The state follows the name, which is in parentheses and may hold anything.
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def describe(states: Sequence[RankState]) -> str:
    """ "rank 3 (in dispatch of round 3.0 for 31.2 s), rank 5 (stopped in …)"."""
    return ", ".join(
        f"rank {state.rank} ({'stopped ' if state.stopped else ''}in {state.where} for {state.seconds:.1f} s)"
        for state in states
    )
