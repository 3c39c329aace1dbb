"""What a user without an expert-parallel library has: torch.distributed.all_to_all_single, over gloo or NCCL.

A token travels once for every expert it selects. Counts travel first, in an exchange of their own, because
all_to_all_single needs the sizes of what arrives; they pass through the host, so this cannot be graph-captured.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.distributed as dist

import epskew

from .adapter import Adapter, Batch, Job, World
from .bits import row_bits
from .fp8 import has_float8, quantise


class TorchAdapter(Adapter):
    @classmethod
    def unsupported(cls, job: Job) -> str | None:
        if job.combine_format != "bf16":
            return "combine travels in bf16 only; drop --use-logfmt"
        if job.dispatch_format != "bf16" and job.device == "cuda" and not has_float8():
            return f"torch {torch.__version__} has no float8; choose --dispatch-format bf16, or torch 2.1 or later"
        if job.device == "cuda" and not dist.is_nccl_available():
            return "this torch has no NCCL; choose --device cpu"
        if job.device == "cuda" and job.ranks_per_device > 1:
            return "NCCL takes one rank a GPU; choose fewer ranks or --device cpu"
        return None

    @classmethod
    def facts(cls) -> list[str]:
        facts = [f"torch: {torch.__version__}"]
        if torch.cuda.is_available() and dist.is_nccl_available():
            facts.append("NCCL: " + ".".join(str(part) for part in torch.cuda.nccl.version()))
        return facts

    def set_up(self, world: World) -> None:
        self.job, self.world = world.job, world
        self.group = dist.new_group(backend="nccl") if world.device.type == "cuda" else world.group

    def dispatch(self, batch: Batch) -> None:
        self.dispatch_send(batch)
        self.dispatch_recv()

    def dispatch_send(self, batch: Batch) -> None:
        experts = batch.topk_idx.flatten()
        # Selections in the order of their experts, which is that of the ranks; masked ones come first and are dropped.
        order = torch.argsort(experts, stable=True)
        self.selection = order[int((experts < 0).sum()) :]
        message = self._messages(batch.x)[self.selection // self.job.topk]
        counts = torch.bincount(experts[self.selection], minlength=self.job.num_experts)
        arriving = torch.empty_like(counts)
        dist.all_to_all_single(arriving, counts, group=self.group)
        # [R, L]: what goes to, and comes from, each rank for each expert.
        shape = (self.job.num_ranks, self.job.experts_per_rank)
        self.sent = counts.view(shape).sum(1).tolist()
        self.arriving = arriving.view(shape)
        self.came = self.arriving.sum(1).tolist()
        self.inbox = message.new_empty((sum(self.came), message.shape[1]))
        self.pending = dist.all_to_all_single(
            self.inbox, message, self.came, self.sent, group=self.group, async_op=True
        )

    def dispatch_recv(self) -> None:
        self.pending.wait()
        # They came by (source, expert); experts want theirs together.
        expert_of_row = torch.arange(self.job.experts_per_rank, device=self.arriving.device)
        expert_of_row = expert_of_row.repeat(self.job.num_ranks).repeat_interleave(self.arriving.flatten())
        self.by_expert = torch.argsort(expert_of_row, stable=True)
        self.rows = self.inbox[self.by_expert]

    def received(self) -> epskew.Received:
        payload, scales, token = self._parts(self.rows)
        count = self.arriving.t().cpu().numpy()  # [L, R]
        begin = np.cumsum(count, axis=1) - count
        return epskew.Received(
            row_bits(payload),
            count.sum(axis=1),
            begin,
            count,
            token.cpu().numpy().reshape(-1),
            scales=None if scales is None else scales.cpu().numpy(),
        )

    def experts(self, rows: np.ndarray) -> torch.Tensor:
        results = torch.from_numpy(rows.view(np.int16)).view(torch.bfloat16)
        return results.to(self.world.device)

    def combine(self, batch: Batch, results: torch.Tensor) -> None:
        self.combine_send(batch, results)
        self.combine_recv()

    def combine_send(self, batch: Batch, results: torch.Tensor) -> None:
        # Of its own strides: those of an array without rows are zero, and no view of bytes is made of such.
        outbox = results.new_empty(results.shape)
        outbox[self.by_expert] = results
        # gloo moves no bf16: as bytes.
        self.returned = torch.empty((sum(self.sent), self.job.hidden), dtype=results.dtype, device=results.device)
        self.pending = dist.all_to_all_single(
            self.returned.view(torch.uint8), outbox.view(torch.uint8), self.sent, self.came, group=self.group, async_op=True
        )
        self.weights = batch.topk_weights

    def combine_recv(self) -> None:
        self.pending.wait()
        tokens, topk = self.weights.shape
        products = self.returned.float() * self.weights.flatten()[self.selection].unsqueeze(1)
        by_selection = products.new_zeros((tokens * topk, self.job.hidden))
        by_selection[self.selection] = products
        self.out = by_selection.view(tokens, topk, self.job.hidden).sum(1).to(torch.bfloat16)

    def combined(self) -> torch.Tensor:
        return self.out

    def _messages(self, x: torch.Tensor) -> torch.Tensor:
        """[T, bytes]: payload, scales and the token's index."""
        token = torch.arange(x.shape[0], dtype=torch.int32, device=x.device).view(-1, 1)
        if self.job.dispatch_format == "bf16":
            parts: tuple[torch.Tensor, ...] = (x, token)
        else:
            parts = (*quantise(x, self.job.dispatch_format), token)
        return torch.cat([part.view(torch.uint8) for part in parts], dim=1)

    def _parts(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]:
        """Payload, scales and token index of received messages."""
        hidden, groups = self.job.hidden, self.job.hidden // 128
        token = rows[:, -4:].contiguous().view(torch.int32)
        if self.job.dispatch_format == "bf16":
            return rows[:, : 2 * hidden].contiguous().view(torch.bfloat16), None, token
        scales = rows[:, hidden:-4].contiguous()
        if self.job.dispatch_format != "fp8_ue8m0":
            scales = scales.view(torch.float32)
        assert scales.shape[1] == groups
        return rows[:, :hidden], scales, token
