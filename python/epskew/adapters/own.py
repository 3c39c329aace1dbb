"""epskew's own exchange, as any other library: the example to follow.

--device chooses its backend: cpu (processes over shared memory) or cuda (one rank; several ranks on one GPU live in one
process, for which there is `epskew bench --backend cuda`). Its calls return when all is done, on a GPU too.
"""

from __future__ import annotations

import numpy as np
import torch

import epskew

from .adapter import Adapter, Batch, Job, World
from .bits import bf16_bits, bf16_tensor


class EpskewAdapter(Adapter):
    variants = None
    result_sets = 2  # at most; the results of one operation may lie where those of the last but one did

    @classmethod
    def unsupported(cls, job: Job) -> str | None:
        backend = next(known for known in epskew.backends() if known.name == job.device)
        if backend.unusable:
            return backend.unusable
        if job.device == "cuda" and job.num_ranks > 1:
            return "its CUDA ranks live in one process; use `epskew bench --backend cuda`, which writes the same file"
        return None

    @classmethod
    def facts(cls) -> list[str]:
        return [f"epskew: {epskew.__version__}"]

    def set_up(self, world: World) -> None:
        job = world.job
        self.device = world.device
        self.exchange = epskew.join_exchange(
            job.device,
            rank=world.rank,
            num_ranks=job.num_ranks,
            meeting_place=world.meeting_place,
            num_experts=job.num_experts,
            topk=job.topk,
            hidden=job.hidden,
            max_tokens=job.max_tokens,
            dispatch=job.dispatch_format,
            combine=job.combine_format,
            variants=job.variants,
            timeout_s=world.timeout_s,
        )
        self.rounding = self.exchange.combine_rounding

    def prepare(self, batch: Batch) -> None:
        self.exchange.set_input(bf16_bits(batch.x), batch.topk_idx.cpu().numpy(), batch.topk_weights.cpu().numpy())

    def dispatch(self, batch: Batch) -> None:
        self.exchange.dispatch()

    def combine(self, batch: Batch, results: None) -> None:
        self.exchange.combine()

    def dispatch_send(self, batch: Batch) -> None:
        self.exchange.dispatch_send()

    def dispatch_recv(self) -> None:
        self.exchange.dispatch_recv()

    def combine_send(self, batch: Batch, results: None) -> None:
        self.exchange.combine_send()

    def combine_recv(self) -> None:
        self.exchange.combine_recv()

    def combined(self) -> torch.Tensor:
        return bf16_tensor(self.exchange.combined())

    def memory_bytes(self) -> int | None:
        return self.exchange.memory_bytes

    def received(self) -> epskew.Received:
        return self.exchange.received()

    def experts(self, rows: np.ndarray) -> None:
        self.exchange.expert_output()[:] = rows
        self.exchange.commit_expert_output()
