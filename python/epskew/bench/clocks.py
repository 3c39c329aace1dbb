"""Clocks around one call, and what empties the caches before it."""

from __future__ import annotations

import os
import time
from typing import Any, Callable, Protocol

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile, record_function

_MARK = "epskew:"
_GPU_FLUSH_BYTES = 256 << 20  #: as DeepEP's test; several times an L2
_LEAST_CPU_FLUSH_BYTES = 32 << 20


class Clock(Protocol):
    name: str

    def time(self, phase: str, call: Callable[[], Any]) -> float:
        """Microseconds of the call, all that it started on the device included."""


class SteadyClock:
    name = "steady_clock"

    def time(self, phase: str, call: Callable[[], Any]) -> float:
        begin = time.perf_counter_ns()
        call()
        return (time.perf_counter_ns() - begin) / 1e3


class EventClock:
    """CUDA events on the current stream: from when the device reaches the call to when it has done all of it."""

    name = "CUDA events"

    def __init__(self) -> None:
        self._begin = torch.cuda.Event(enable_timing=True)
        self._end = torch.cuda.Event(enable_timing=True)

    def time(self, phase: str, call: Callable[[], Any]) -> float:
        torch.cuda.synchronize()
        self._begin.record()
        call()
        self._end.record()
        self._end.synchronize()
        return self._begin.elapsed_time(self._end) * 1e3


class KernelClock:
    """The CUDA profiler: how long the kernels of each call ran. Results come at the end, from `durations`."""

    name = "kernel durations"

    def __init__(self) -> None:
        self._calls: list[str] = []
        self._profile = profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA])
        self._profile.start()

    def time(self, phase: str, call: Callable[[], Any]) -> float:
        torch.cuda.synchronize()
        with record_function(f"{_MARK}{len(self._calls)}"):
            call()
            torch.cuda.synchronize()
        self._calls.append(phase)
        return float("nan")

    def durations(self) -> list[tuple[str, float]]:
        """(phase, microseconds) of every call, in their order: the sum over the call's kernels."""
        self._profile.stop()
        ranges, kernels = {}, []
        for event in self._profile.events():
            on_device = event.device_type == torch.autograd.DeviceType.CUDA
            span = (event.time_range.start, event.time_range.end)
            if event.name.startswith(_MARK) and not on_device:
                ranges[int(event.name[len(_MARK) :])] = span
            elif on_device and not event.name.startswith((_MARK, "Memcpy", "Memset")):
                kernels.append(span)
        return [(phase, _time_within(kernels, ranges[call])) for call, phase in enumerate(self._calls)]


def _time_within(kernels: list[tuple[float, float]], span: tuple[float, float]) -> float:
    # A call has ended with a synchronisation, so its kernels began within its span.
    mine = [end - begin for begin, end in kernels if span[0] <= begin <= span[1]]
    if not mine:
        raise RuntimeError("the CUDA profiler saw no kernel in a call; use --no-kernels")
    return sum(mine)


class CacheFlush:
    """Writes more than the caches hold."""

    def __init__(self, device: torch.device, ranks_here: int, alone: bool) -> None:
        """`ranks_here` share this host's caches; `alone`: this rank empties those of its device for all its ranks."""
        self._on_gpu = device.type == "cuda"
        self._buffer: Any = None
        if not self._on_gpu:
            self._buffer = np.empty(-(-_cpu_cache_bytes() // ranks_here), dtype=np.uint8)
        elif alone:
            self._buffer = torch.empty(_GPU_FLUSH_BYTES, dtype=torch.uint8, device=device)

    @property
    def bytes(self) -> int:
        """Written by this rank."""
        if self._buffer is None:
            return 0
        return self._buffer.numel() if self._on_gpu else self._buffer.nbytes

    def flush(self) -> None:
        if self._buffer is None:
            return
        if self._on_gpu:
            self._buffer.zero_()
            torch.cuda.synchronize()
        else:
            self._buffer.fill(1)


def _cpu_cache_bytes() -> int:
    try:
        last_level = os.sysconf("SC_LEVEL3_CACHE_SIZE")
    except (ValueError, OSError):
        last_level = 0
    return max(last_level, _LEAST_CPU_FLUSH_BYTES)
