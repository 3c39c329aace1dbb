"""DeepEP V2: deep_ep.ElasticBuffer, which needs NCCL 2.30.4 or later. Never run on a GPU: no machine with that
NCCL was there. Written against DeepEP 2.1.0 and tested on a fake of it.

V2 sends a token once to each rank and expands it there, leaves the FP8 cast to its caller, and sums without weights, which
its users apply with their experts: so does this adapter, in `experts`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.distributed as dist

import epskew

from .adapter import Adapter, Batch, Job, World
from .bits import bf16_tensor, row_bits
from .fp8 import has_float8, quantise

_LEAST_NCCL = (2, 30, 4)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)


def weighted(rows: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """[n, H] bf16 times [n] float32: one rounding, that to the bf16 in which combine carries the products."""
    return (rows.float() * weights.float().unsqueeze(1)).to(torch.bfloat16)


class DeepEpV2Adapter(Adapter):
    #: Products travel in bf16 and are then summed.
    rounding = "summed_on_the_way"
    variants = {
        "cast": "timed: the FP8 cast, in torch operations, is part of dispatch; before (as in the library's own test)",
        "cpu_sync": "on: dispatch waits on the host for exact counts; off",
        "sms": "number of multiprocessors; 0 lets the library choose",
    }

    @classmethod
    def unusable(cls) -> str | None:
        if not torch.cuda.is_available():
            return "no CUDA device; run on a machine with a GPU"
        if not dist.is_nccl_available() or torch.cuda.nccl.version() < _LEAST_NCCL:
            found = _dotted(torch.cuda.nccl.version()) if dist.is_nccl_available() else "none"
            return f"NCCL here is {found}, DeepEP V2 needs {_dotted(_LEAST_NCCL)}; install a torch with a newer NCCL"
        try:
            import deep_ep
        except ImportError as error:
            return f"deep_ep cannot be imported ({error}); build DeepEP V2"
        return None if hasattr(deep_ep, "ElasticBuffer") else "this deep_ep is V1; use --adapter deepep, or build V2"

    @classmethod
    def unsupported(cls, job: Job) -> str | None:
        checks = {
            "DeepEP runs on GPUs only; choose --device cuda": job.device != "cuda",
            "NCCL takes one rank a GPU; choose fewer ranks": job.ranks_per_device > 1,
            f"its kernels hold a token's experts in one warp, at most 32 (asked for {job.topk}); choose a smaller --num-topk":
                job.topk > 32,
            "combine travels in bf16 only; drop --use-logfmt": job.combine_format != "bf16",
            "scales travel as float32; choose another --dispatch-format": job.dispatch_format == "fp8_ue8m0",
            "this torch has no float8; choose --dispatch-format bf16": job.dispatch_format != "bf16" and not has_float8(),
            "variant cast is timed or before": job.variants.get("cast", "before") not in ("timed", "before"),
            "variant cpu_sync is on or off": job.variants.get("cpu_sync", "off") not in ("on", "off"),
            "variant sms is a number": not job.variants.get("sms", "0").isdigit(),
        }
        return next((reason for reason, holds in checks.items() if holds), None)

    @classmethod
    def modes(cls, job: Job) -> tuple[str, ...]:
        # No pair: `experts` applies the weights of rows that come in another order every time.
        return ("fused",)

    @classmethod
    def facts(cls) -> list[str]:
        import deep_ep

        return [f"deep_ep: {deep_ep.__version__}", f"torch: {torch.__version__}", f"NCCL: {_dotted(torch.cuda.nccl.version())}"]

    def set_up(self, world: World) -> None:
        import deep_ep

        job = self.job = world.job
        self.fp8 = job.dispatch_format != "bf16"
        self.cast_is_timed = job.variants.get("cast", "before") == "timed"
        self.buffer = deep_ep.ElasticBuffer(
            dist.new_group(backend="nccl"),
            num_max_tokens_per_rank=job.max_tokens,
            hidden=job.hidden,
            num_topk=job.topk,
            use_fp8_dispatch=self.fp8,
            explicitly_destroy=True,
        )
        self.index_type = deep_ep.topk_idx_t

    def prepare(self, batch: Batch) -> None:
        self.topk_idx = batch.topk_idx.to(self.index_type)
        self.x: Any = batch.x if not self.fp8 else quantise(batch.x, self.job.dispatch_format)

    def dispatch(self, batch: Batch) -> None:
        x = quantise(batch.x, self.job.dispatch_format) if self.fp8 and self.cast_is_timed else self.x
        self.received_x, _, self.weights, self.handle, _ = self.buffer.dispatch(
            x,
            topk_idx=self.topk_idx,
            topk_weights=batch.topk_weights,
            num_experts=self.job.num_experts,
            num_max_tokens_per_rank=self.job.max_tokens,
            expert_alignment=1,
            num_sms=int(self.job.variants.get("sms", "0")),
            do_cpu_sync=self.job.variants.get("cpu_sync") == "on",
            do_expand=True,
        )

    def received(self) -> epskew.Received:
        ends = self.handle.psum_num_recv_tokens_per_expert.cpu().numpy().astype(np.int64)
        count = np.diff(ends, prepend=0)
        source, token = self._origin(int(ends[-1]))
        expert = np.repeat(np.arange(len(count)), count)
        # Within an expert, rows come in the order of their arrival.
        self.order = np.lexsort((source, expert))
        by_source = np.zeros((len(count), self.job.num_ranks), dtype=np.int64)
        np.add.at(by_source, (expert, source), 1)
        rows, scales = self.received_x if self.fp8 else (self.received_x, None)
        return epskew.Received(
            row_bits(rows[: int(ends[-1])]),
            count,
            np.cumsum(by_source, axis=1) - by_source,
            by_source,
            token[self.order],
            scales=None if scales is None else scales[: int(ends[-1])].contiguous().cpu().numpy(),
            storage_row=self.order,
        )

    def _origin(self, num_rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Source rank and token of each expanded row."""
        num_tokens = int(self.handle.psum_num_recv_tokens_per_scaleup_rank[-1])
        metadata = self.handle.recv_src_metadata[:num_tokens].cpu().numpy()
        slots = metadata[:, 2:]
        sender = np.full(num_rows, -1, dtype=np.int64)
        tokens = np.broadcast_to(metadata[:, :1], slots.shape)
        sender[slots[slots >= 0]] = tokens[slots >= 0]
        return sender // self.job.max_tokens, sender % self.job.max_tokens

    def experts(self, rows: np.ndarray) -> torch.Tensor:
        place = torch.from_numpy(self.order).to(self.weights.device)
        results = torch.zeros(self.weights.shape[0], self.job.hidden, dtype=torch.bfloat16, device=place.device)
        results[place] = weighted(bf16_tensor(rows, place.device), self.weights[place])
        return results

    def combine(self, batch: Batch, results: torch.Tensor) -> None:
        self.out, _, _ = self.buffer.combine(results, self.handle)

    def combined(self) -> torch.Tensor:
        return self.out

    def tear_down(self) -> None:
        self.buffer.destroy()
