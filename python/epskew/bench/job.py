"""From a command line to a job that its adapter accepts, before any resource is touched."""

from __future__ import annotations

from dataclasses import dataclass

import torch

import epskew
from epskew.adapters import Adapter, Job, find_adapter

from . import flags as command_line


@dataclass(frozen=True)
class Task:
    """All that a rank needs to know."""

    flags: command_line.Flags
    plan: epskew.BenchPlan
    adapter: type[Adapter]
    job: Job
    modes: tuple[str, ...]


def make_task(argv: list[str], local_ranks: int | None = None) -> Task:
    """`local_ranks` share this host's devices; None: all of them. UsageError for whatever cannot be run."""
    flags = command_line.parse(argv)
    plan = epskew.plan_bench(flags.bench, command=("python", "-m", "epskew.bench", *_own(argv, flags.bench)))
    if plan.backend is not None:
        raise epskew.UsageError(
            f"--backend {plan.backend} and --adapter are both given (a backend is run by `epskew bench`); drop one"
        )
    if plan.micro_batches != 1:
        raise epskew.UsageError(
            f"--micro-batches {plan.micro_batches} is not for --adapter (an adapter has one exchange in flight); drop it"
        )
    adapter = find_adapter(flags.adapter)
    device = _device_of(flags)
    job = _job_of(plan, device, _ranks_per_device(device, local_ranks or plan.num_ranks))
    _check(flags, adapter, job)
    return Task(flags, plan, adapter, job, _modes_of(flags, adapter, job))


def _job_of(plan: epskew.BenchPlan, device: str, ranks_per_device: int) -> Job:
    return Job(
        num_ranks=plan.num_ranks,
        num_experts=plan.num_experts,
        topk=plan.topk,
        hidden=plan.hidden,
        max_tokens=plan.max_tokens,
        dispatch_format=plan.dispatch_format,
        combine_format=plan.combine_format,
        device=device,
        ranks_per_device=ranks_per_device,
        variants=dict(plan.variants),
    )


def _own(argv: list[str], rest: list[str]) -> list[str]:
    """The flags that are ours, in their order: argv without `rest`."""
    left = list(rest)
    own = []
    for word in argv:
        if left and word == left[0]:
            left.pop(0)
        else:
            own.append(word)
    return own


def _device_of(flags: command_line.Flags) -> str:
    if flags.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if flags.device == "cuda" and not torch.cuda.is_available():
        raise epskew.UsageError("--device cuda is not available (torch sees no GPU); choose --device cpu")
    return flags.device


def _ranks_per_device(device: str, local_ranks: int) -> int:
    return 1 if device == "cpu" else -(-local_ranks // torch.cuda.device_count())


def _check(flags: command_line.Flags, adapter: type[Adapter], job: Job) -> None:
    for name in job.variants:
        if adapter.variants is not None and name not in adapter.variants:
            known = "; ".join(f"{key} ({text})" for key, text in adapter.variants.items()) or "none"
            raise epskew.UsageError(
                f"--variant {name} is unknown to --adapter {flags.adapter} (it has no such option); known: {known}"
            )
    reason = adapter.unusable()
    if reason:
        raise epskew.UsageError(f"--adapter {flags.adapter} is not run ({reason})")
    reason = adapter.unsupported(job)
    if reason:
        raise epskew.UsageError(f"--adapter {flags.adapter} cannot do this ({reason})")


def _modes_of(flags: command_line.Flags, adapter: type[Adapter], job: Job) -> tuple[str, ...]:
    can = adapter.modes(job)
    if flags.modes is None:
        return can
    for mode in flags.modes:
        if mode not in can:
            shared = f" with {job.ranks_per_device} ranks on a GPU" if job.ranks_per_device > 1 else ""
            raise epskew.UsageError(
                f"--modes {mode} is not for --adapter {flags.adapter}{shared} (it would not end, or there is no such "
                f"call); choose from {', '.join(can)}"
            )
    return tuple(mode for mode in can if mode in flags.modes)
