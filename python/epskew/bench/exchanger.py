"""One rank's adapter at work: phases in order, ranks aligned, turns where they share a device."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Callable

import torch

from epskew.adapters import Adapter, Batch

from .clocks import CacheFlush, Clock
from .meeting import Meeting

#: What one timed iteration of each mode consists of.
PHASES_OF = {
    "pair": ("dispatch_combine",),
    "fused": ("dispatch", "combine"),
    "split": ("dispatch_send", "dispatch_recv", "combine_send", "combine_recv"),
}
#: Phases before which a GPU's cache is emptied too; the second half of a pair finds what the first left.
_FLUSHED = ("dispatch_combine", "dispatch", "combine", "dispatch_send", "combine_send")


@dataclass
class Samples:
    """What one rank measured in a visit."""

    us: dict[str, list[float]] = field(default_factory=dict)  #: by phase
    starts_ns: list[int] = field(default_factory=list)  #: of every iteration, by the host's clock

    def add(self, phase: str, us: float) -> None:
        self.us.setdefault(phase, []).append(us)


class Exchanger:
    def __init__(self, adapter: Adapter, meeting: Meeting, flush: CacheFlush | None, device: torch.device) -> None:
        self.adapter = adapter
        self._meeting, self._flush, self._device = meeting, flush, device
        self.results: Any = None  #: of the experts, as the adapter wants them
        self._batch: Batch

    def prepare(self, batch: Batch) -> None:
        """This batch is exchanged from now on."""
        self._batch = batch
        self.adapter.prepare(batch)

    def run_phase(self, phase: str) -> None:
        """One phase, untimed; the ranks go one after another where they share a device."""
        self._in_order(phase, lambda: self._call(phase))

    def iterate(self, mode: str, clock: Clock, samples: Samples) -> None:
        """One timed iteration."""
        for index, phase in enumerate(PHASES_OF[mode]):
            if self._flush and (index == 0 or (self._device.type == "cuda" and phase in _FLUSHED)):
                self._flush.flush()
            self._meeting.meet()
            if index == 0:
                samples.starts_ns.append(time.monotonic_ns())
            self._in_order(phase, lambda: samples.add(phase, clock.time(phase, lambda: self._call(phase))))

    def _in_order(self, phase: str, work: Callable[[], None]) -> None:
        # Only halves end by themselves; a whole operation waits for the other ranks.
        for _ in self._meeting.turns(phase in PHASES_OF["split"]):
            self._meeting.board.enter(phase)
            work()
            if self._device.type == "cuda":
                torch.cuda.synchronize()
            self._meeting.board.enter("timing")

    def _call(self, phase: str) -> None:
        adapter = self.adapter
        if phase == "dispatch":
            adapter.dispatch(self._batch)
        elif phase == "dispatch_send":
            adapter.dispatch_send(self._batch)
        elif phase == "dispatch_recv":
            adapter.dispatch_recv()
        elif phase == "combine":
            adapter.combine(self._batch, self.results)
        elif phase == "combine_send":
            adapter.combine_send(self._batch, self.results)
        elif phase == "combine_recv":
            adapter.combine_recv()
        else:
            adapter.dispatch(self._batch)
            adapter.combine(self._batch, self.results)
