"""The interface between epskew and somebody's expert-parallel exchange: one class, one object a rank."""

from __future__ import annotations

import abc
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

import epskew

if TYPE_CHECKING:
    from epskew._core import CombineFormat, DispatchFormat, Rounding


@dataclass(frozen=True)
class Job:
    """What is to be exchanged: the same on every rank, known before any resource is touched."""

    num_ranks: int
    num_experts: int
    topk: int
    hidden: int
    max_tokens: int  #: M: no rank sends more tokens than this in any round
    dispatch_format: DispatchFormat
    combine_format: CombineFormat
    device: str  #: "cpu" or "cuda"
    ranks_per_device: int = 1  #: more than 1: several ranks share a GPU
    variants: dict[str, str] = field(default_factory=dict)  #: of `--variant name=value`

    @property
    def experts_per_rank(self) -> int:
        return self.num_experts // self.num_ranks


@dataclass(frozen=True)
class World:
    """Where a rank stands."""

    job: Job
    rank: int
    group: Any  #: torch.distributed process group of all ranks, backend gloo
    device: torch.device
    timeout_s: float  #: no wait of the adapter should last longer
    meeting_place: str  #: a folder that all ranks of this host see; it may go once set_up has returned on all of them

    @property
    def num_ranks(self) -> int:
        return self.job.num_ranks


@dataclass(frozen=True)
class Batch:
    """What one rank sends, on its device."""

    x: torch.Tensor  #: [T, H] bfloat16
    topk_idx: torch.Tensor  #: [T, K] int64; -1 = no selection
    topk_weights: torch.Tensor  #: [T, K] float32


class Adapter(abc.ABC):
    """One library's exchange as one rank sees it. See docs/adapters.md.

    All ranks make the same calls: set_up once; prepare for every new batch; then dispatch and combine, many times.
    What is timed is a whole call of dispatch, combine or one of the halves, and nothing else. On a GPU work may be
    left running on the current stream; on a CPU a call returns when it is done.
    """

    #: Variants by name, each with what it means: `--variant` refuses others. None: the library itself knows its own.
    variants: dict[str, str] | None = {}
    #: How combine may round: "in_order", "any_order" or "summed_on_the_way", see epskew.Oracle. Read after set_up.
    rounding: Rounding = "any_order"
    #: Where `experts` writes into memory of the library that changes from dispatch to dispatch: how many such places
    #: take turns. 0: combine gets what `experts` returned.
    result_sets: int = 0

    @classmethod
    def unusable(cls) -> str | None:
        """None where it can run on this machine; else why not and how to get it."""
        return None

    @classmethod
    def unsupported(cls, job: Job) -> str | None:
        """None where it can do the job; else why not. No resource may be touched."""
        return None

    @classmethod
    def modes(cls, job: Job) -> tuple[str, ...]:
        """What can be timed, of "pair" (dispatch and combine in one), "fused" (each by itself), "split" (halves)."""
        return ("pair", "fused", "split") if cls.dispatch_send is not Adapter.dispatch_send else ("pair", "fused")

    @classmethod
    def facts(cls) -> list[str]:
        """"library: version" lines for the record."""
        return []

    @abc.abstractmethod
    def set_up(self, world: World) -> None:
        """Buffers, groups, whatever all later calls need. Collective."""

    def prepare(self, batch: Batch) -> None:
        """This batch will be exchanged from now on; it may be the last one with other data in it. Not timed."""

    @abc.abstractmethod
    def dispatch(self, batch: Batch) -> None:
        """Sends this rank's tokens and receives those of its experts."""

    @abc.abstractmethod
    def received(self) -> epskew.Received:
        """What the latest dispatch delivered; asked for before or after the combine that follows. Not timed."""

    @abc.abstractmethod
    def experts(self, rows: Any) -> Any:
        """Brings the experts' results to where combine expects them and returns what combine shall get.

        rows: uint16 array (bf16 bits), shaped as the rows that received() returned. Not timed.
        """

    def experts_on_device(self, factors: torch.Tensor) -> Any:
        """Optional: the same without the host, from the latest dispatch's own rows: dequantised to bf16, times factors[e]
        of their local expert e ([L] float32, on the device), rounded to bf16. Not timed."""
        raise NotImplementedError

    @abc.abstractmethod
    def combine(self, batch: Batch, results: Any) -> None:
        """Returns the experts' results to where their tokens came from, and sums them there with the weights."""

    @abc.abstractmethod
    def combined(self) -> torch.Tensor:
        """[T, H] bfloat16: this rank's tokens after the latest combine. Not timed."""

    def dispatch_send(self, batch: Batch) -> None:
        raise NotImplementedError

    def dispatch_recv(self) -> None:
        raise NotImplementedError

    def combine_send(self, batch: Batch, results: Any) -> None:
        raise NotImplementedError

    def combine_recv(self) -> None:
        raise NotImplementedError

    def memory_bytes(self) -> int | None:
        """Exchange memory of this rank; None where the library does not say."""
        return None

    def tear_down(self) -> None:
        """Gives back what set_up took. Collective."""
