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
#: Phases before which the caches are emptied: rows and results have just been written. The second half of a pair finds
#: what the first left.
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

    def run_phase(self, phase: str, batch: Batch) -> None:
        """One phase, untimed; the ranks go one after another where they share a device."""
        self._in_order(phase, lambda: self._call(phase, batch))

    def iterate(
        self, mode: str, clock: Clock, samples: Samples, batch: Batch, run_experts: Callable[[], None]
    ) -> None:
        """One timed iteration. `run_experts` is called between dispatch and combine, outside of what is timed."""
        phases = PHASES_OF[mode]
        for index, phase in enumerate(phases):
            if index > 0 and index == len(phases) // 2:
                run_experts()
            if self._flush and phase in _FLUSHED:
                self._flush.flush()
            self._meeting.meet()
            if index == 0:
                samples.starts_ns.append(time.monotonic_ns())
            self._in_order(phase, lambda: samples.add(phase, clock.time(phase, lambda: self._call(phase, batch))))

    def _in_order(self, phase: str, work: Callable[[], None]) -> None:
        # Only halves end by themselves; a whole operation waits for the other ranks.
        for _ in self._meeting.turns(phase in PHASES_OF["split"]):
            self._meeting.board.enter(phase)
            work()
            if self._device.type == "cuda":
                torch.cuda.synchronize()
            self._meeting.board.enter("timing")

    def _call(self, phase: str, batch: Batch) -> None:
        adapter = self.adapter
        if phase == "dispatch":
            adapter.dispatch(batch)
        elif phase == "dispatch_send":
            adapter.dispatch_send(batch)
        elif phase == "dispatch_recv":
            adapter.dispatch_recv()
        elif phase == "combine":
            adapter.combine(batch, self.results)
        elif phase == "combine_send":
            adapter.combine_send(batch, self.results)
        elif phase == "combine_recv":
            adapter.combine_recv()
        else:
            adapter.dispatch(batch)
            adapter.combine(batch, self.results)
