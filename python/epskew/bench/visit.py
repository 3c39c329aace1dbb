"""One visit to a round in one rank: oracle before, timing, oracle after. What src/measure/round.cpp does in C++."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

import epskew
from epskew.adapters import Adapter

from .clocks import CacheFlush, Clock, EventClock, KernelClock, SteadyClock
from .exchanger import PHASES_OF, Exchanger, Samples
from .job import Task
from .meeting import Meeting
from .traffic import Traffic, finding

#: The last iterations of every mode are checked: one for each of the two buffer sets that libraries alternate between.
_CHECKED = 2


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
        self._traffic = Traffic(adapter, rank, device)
        self.clock: Clock = EventClock() if device.type == "cuda" else SteadyClock()

    def visit(self, visit: epskew.Visit) -> Report:
        """Collective. WrongResult on every rank where the oracle disagrees on any."""
        label = self._task.plan.rounds[visit.round].label
        self._meeting.board.enter_round(visit.round)
        self._traffic = Traffic(self._adapter, self._rank, self._device)
        exact, random = self._oracle(visit, "exact"), self._oracle(visit, "random")
        before, after = f"round {label}, before the timing", f"round {label}, after the timing"
        if visit.first:
            self._check(exact, before)
        self._check(random, before)
        samples = self._time(visit, random, f"round {label}, in the timing")
        kernels = self._kernels(visit, random, f"round {label}, under the profiler")
        self._check(random, after)
        if visit.last:
            self._check(exact, after)
        flushed = self._flush.bytes if self._flush else 0
        return Report(samples, kernels, flushed, self._adapter.memory_bytes())

    def _make_flush(self) -> CacheFlush:
        board, job = self._meeting.board, self._task.job
        alone = board.ranks.index(self._rank) % job.ranks_per_device == 0
        return CacheFlush(self._device, len(board.ranks), alone)

    def _oracle(self, visit: epskew.Visit, data: Literal["exact", "random"]) -> epskew.Oracle:
        plan = self._task.plan
        return epskew.Oracle(
            plan.rounds[visit.round].routing,
            plan.hidden,
            dispatch=plan.dispatch_format,
            combine=plan.combine_format,
            data=data,
            seed=(plan.seed + visit.turn * len(plan.rounds) + visit.round) % 2**64,  # nobody else's data
            rounding=self._adapter.rounding,
        )

    def _check(self, oracle: epskew.Oracle, when: str) -> None:
        """Exchanges once in every way that is timed, halves and whole."""
        oracle.use_blind_experts(False)
        modes = self._task.modes
        for mode in ("split", "fused"):
            if mode in modes or (mode == "fused" and "pair" in modes):
                self._exchange_checked(oracle, PHASES_OF[mode], when)

    def _exchange_checked(self, oracle: epskew.Oracle, phases: tuple[str, ...], when: str) -> None:
        half = len(phases) // 2
        self._traffic.renew(oracle)
        self._run(phases[:half])
        received = self._adapter.received()
        self._require(finding(oracle.check_dispatch(self._rank, received)), when)
        self._exchanger.results = self._adapter.experts(oracle.expert_output(self._rank, received))
        self._run(phases[half:])
        self._require(self._traffic.wrong_combine(oracle), when)

    def _run(self, phases: tuple[str, ...]) -> None:
        for phase in phases:
            self._meeting.meet()
            self._exchanger.run_phase(phase, self._traffic.batch)
        self._meeting.board.enter("oracle")

    def _require(self, wrong: str | None, when: str) -> None:
        """WrongResult on every rank where one of them found something wrong: nobody goes on alone."""
        found = [each for each in self._meeting.collect(wrong) if each]
        if found:
            # A wrong dispatch makes combines wrong, on other ranks too.
            raise epskew.WrongResult(f"{when}: {min(found, key=lambda each: not each.startswith('dispatch'))}")

    def _time(self, visit: epskew.Visit, oracle: epskew.Oracle, when: str) -> Samples:
        samples = Samples()
        for mode in self._task.modes:
            self._require(self._repeat(mode, self.clock, visit.iterations, samples, oracle), when)
        return samples

    def _repeat(
        self, mode: str, clock: Clock, iterations: int, samples: Samples, oracle: epskew.Oracle
    ) -> str | None:
        """Warm-up and timed iterations, each with data of its own; what is wrong with what the last ones delivered."""
        oracle.use_blind_experts(mode == "pair")
        untimed = Samples()
        wrong = None
        for i in range(-self._task.plan.warmup, iterations):
            self._iterate(mode, clock, samples if i >= 0 else untimed, oracle)
            if i >= iterations - _CHECKED:
                # Only noted: a rank that stopped here would leave the others waiting for it.
                wrong = wrong or self._traffic.wrong_dispatch(oracle) or self._traffic.wrong_combine(oracle)
        return wrong

    def _iterate(self, mode: str, clock: Clock, samples: Samples, oracle: epskew.Oracle) -> None:
        board = self._meeting.board
        board.enter("oracle")
        oracle.renew()
        if mode == "pair":
            self._lay_out_results(oracle)
        self._traffic.send(oracle)

        def run_experts() -> None:
            board.enter("oracle")
            self._exchanger.results = self._traffic.experts(oracle)

        self._exchanger.iterate(mode, clock, samples, self._traffic.batch, run_experts)

    def _lay_out_results(self, oracle: epskew.Oracle) -> None:
        """Puts what the experts will answer where a dispatch and combine in one call finds it.

        They are blind then: this round's rows fill the same places in every dispatch, but in an order of their own.
        """
        rows = oracle.expert_output(self._rank, self._adapter.received())
        for _ in range(self._adapter.result_sets):
            self._traffic.send_zeros()
            self._run(("dispatch",))
            self._adapter.experts(rows)
            self._run(("combine",))
        if self._adapter.result_sets == 0:
            self._exchanger.results = self._adapter.experts(rows)

    def _kernels(self, visit: epskew.Visit, oracle: epskew.Oracle, when: str) -> dict[str, list[float]]:
        """Again under the profiler, apart from the timing, which it would slow down. Pairs are left out: the sum."""
        if self._device.type != "cuda" or not self._task.flags.kernels:
            return {}
        us: dict[str, list[float]] = {}
        for mode in self._task.modes:
            if mode == "pair":
                continue
            clock = KernelClock()
            wrong = self._repeat(mode, clock, visit.iterations, Samples(), oracle)
            for phase, duration in clock.durations()[self._task.plan.warmup * len(PHASES_OF[mode]) :]:
                us.setdefault(phase, []).append(duration)
            self._require(wrong, when)
        return us
