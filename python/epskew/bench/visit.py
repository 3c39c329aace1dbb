"""One visit to a round in one rank: oracle before, timing, oracle after. What src/measure/round.cpp does in C++."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

import epskew
from epskew.adapters import Adapter, Batch
from epskew.adapters.bits import bf16_bits, bf16_tensor

from .clocks import CacheFlush, Clock, EventClock, KernelClock, SteadyClock
from .exchanger import PHASES_OF, Exchanger, Samples
from .job import Task
from .meeting import Meeting


@dataclass
class Report:
    """What a rank brings home from a visit."""

    samples: Samples
    kernel_us: dict[str, list[float]]  #: empty where not measured
    flush_bytes: int
    memory_bytes: int | None


class Visitor:
    def __init__(self, task: Task, adapter: Adapter, meeting: Meeting, rank: int, device: torch.device) -> None:
        self._task, self._adapter, self._meeting, self._rank, self._device = task, adapter, meeting, rank, device
        self._flush = self._make_flush() if task.plan.flush_cache else None
        self._exchanger = Exchanger(adapter, meeting, self._flush, device)
        self.clock: Clock = EventClock() if device.type == "cuda" else SteadyClock()

    def visit(self, visit: epskew.Visit) -> Report:
        """Collective. WrongResult on every rank where the oracle disagrees on any."""
        label = self._task.plan.rounds[visit.round].label
        self._meeting.board.enter_round(visit.round)
        exact, random = self._oracle(visit, "exact"), self._oracle(visit, "random")
        before, after = f"round {label}, before the timing", f"round {label}, after the timing"
        if visit.first:
            self._check(exact, before)
        # The random data stays in place: it is what is timed.
        self._check(random, before)
        samples = self._time(visit, random, f"round {label}, in the timing")
        kernels = self._kernels(visit)
        self._check(random, after)
        if visit.last:
            self._check(exact, after)
        flushed = self._flush.bytes if self._flush else 0
        return Report(samples, kernels, flushed, self._adapter.memory_bytes())

    def _make_flush(self) -> CacheFlush:
        board, job = self._meeting.board, self._task.job
        alone = board.ranks.index(self._rank) % job.ranks_per_device == 0
        return CacheFlush(self._device, len(board.ranks), alone)

    def _oracle(self, visit: epskew.Visit, data: str) -> epskew.Oracle:
        plan = self._task.plan
        return epskew.Oracle(
            plan.rounds[visit.round].routing,
            plan.hidden,
            dispatch=plan.dispatch_format,
            combine=plan.combine_format,
            data=data,
            seed=plan.seed,
        )

    def _check(self, oracle: epskew.Oracle, when: str) -> None:
        """Exchanges once in every way that is timed, halves and whole."""
        self._exchanger.prepare(self._batch(oracle.input(self._rank)))
        modes = self._task.modes
        for mode in ("split", "fused"):
            if mode in modes or (mode == "fused" and "pair" in modes):
                self._exchange_checked(oracle, PHASES_OF[mode], when)

    def _exchange_checked(self, oracle: epskew.Oracle, phases: tuple[str, ...], when: str) -> None:
        half = len(phases) // 2
        self._run(phases[:half])
        received = self._adapter.received()
        self._require(oracle.check_dispatch(self._rank, received), when)
        self._exchanger.results = self._adapter.experts(oracle.expert_output(self._rank, received))
        self._run(phases[half:])
        self._require(oracle.check_combine(self._rank, bf16_bits(self._adapter.combined())), when)

    def _run(self, phases: tuple[str, ...]) -> None:
        for phase in phases:
            self._meeting.meet()
            self._exchanger.run_phase(phase)
        self._meeting.board.enter("oracle")

    def _batch(self, sent: epskew.RankInput) -> Batch:
        return Batch(
            bf16_tensor(sent.x, self._device),
            torch.from_numpy(np.array(sent.topk_idx)).to(self._device),
            torch.from_numpy(np.array(sent.topk_weights)).to(self._device),
        )

    def _require(self, report: epskew.OracleReport, when: str) -> None:
        """WrongResult on every rank where one of them found something wrong: nobody goes on alone."""
        for found in self._meeting.collect(None if report else report.message):
            if found:
                raise epskew.WrongResult(f"{when}: {found}")

    def _time(self, visit: epskew.Visit, oracle: epskew.Oracle, when: str) -> Samples:
        """All modes; the last timed dispatch of each is checked."""
        samples = Samples()
        for mode in self._task.modes:
            self._repeat(mode, self.clock, visit.iterations, samples)
            self._meeting.board.enter("oracle")
            self._require(oracle.check_dispatch(self._rank, self._adapter.received()), when)
        return samples

    def _repeat(self, mode: str, clock: Clock, iterations: int, samples: Samples) -> None:
        untimed = Samples()
        for i in range(-self._task.plan.warmup, iterations):
            self._exchanger.iterate(mode, clock, samples if i >= 0 else untimed)

    def _kernels(self, visit: epskew.Visit) -> dict[str, list[float]]:
        """Again under the profiler, apart from the timing, which it would slow down. Pairs are left out: the sum."""
        if self._device.type != "cuda" or not self._task.flags.kernels:
            return {}
        clock = KernelClock()
        for mode in self._task.modes:
            if mode != "pair":
                for _ in range(visit.iterations):
                    self._exchanger.iterate(mode, clock, Samples())
        us: dict[str, list[float]] = {}
        for phase, duration in clock.durations():
            us.setdefault(phase, []).append(duration)
        return us
