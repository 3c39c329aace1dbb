"""DeepEP v1 (up to v1.2.1): the low-latency mode of deep_ep.Buffer.

Ranks that share a GPU run the halves only (`return_recv_hook`): the kernel of a whole operation waits on the GPU for the
other ranks, whose kernels wait for the GPU.
"""

from __future__ import annotations

import os
from importlib import metadata
from typing import Any, Callable

import numpy as np
import torch

import epskew

from .adapter import Adapter, Batch, Job, World
from .bits import bf16_tensor, row_bits

_LOW_HALF = (1 << 32) - 1


def _library() -> Any:
    # NVSHMEM looks for InfiniBand otherwise and takes long to find none; a user's own setting stays.
    os.environ.setdefault("NVSHMEM_REMOTE_TRANSPORT", "none")
    import deep_ep

    return deep_ep


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


class DeepEpAdapter(Adapter):
    rounding = "in_order"
    variants = {
        "zero_copy": "on: experts write into the library's buffer (get_next_low_latency_combine_buffer); off",
        "nvlink": "off: allow_nvlink_for_low_latency_mode=False; on",
    }

    @classmethod
    def unusable(cls) -> str | None:
        if not torch.cuda.is_available():
            return "no CUDA device; run on a machine with a GPU"
        try:
            library = _library()
        except ImportError as error:
            return f"deep_ep cannot be imported ({error}); build DeepEP v1.2.1, see docs/adapters.md"
        if not hasattr(library.Buffer, "low_latency_dispatch"):
            return "this deep_ep has no low-latency mode; build DeepEP v1.2.1, see docs/adapters.md"
        return None

    @classmethod
    def unsupported(cls, job: Job) -> str | None:
        slots = job.num_ranks * job.max_tokens
        for name in ("zero_copy", "nvlink"):
            if job.variants.get(name, "on") not in ("on", "off"):
                return f"variant {name}={job.variants[name]} is neither on nor off"
        checks = {
            "DeepEP runs on GPUs only; choose --device cuda": job.device != "cuda",
            "DeepEP takes FP8 only where hidden is a multiple of 512; choose --dispatch-format bf16":
                job.dispatch_format != "bf16" and job.hidden % 512 != 0,
            f"DeepEP needs ranks x tokens to be a multiple of 4 (it is {slots}); change --num-tokens": slots % 4 != 0,
            f"DeepEP takes at most top-11 (asked for {job.topk}); choose a smaller --num-topk": job.topk > 11,
            "zero-copy and LogFMT exclude each other; drop one":
                job.combine_format == "logfmt10" and job.variants.get("zero_copy") == "on",
        }
        return next((reason for reason, holds in checks.items() if holds), None)

    @classmethod
    def modes(cls, job: Job) -> tuple[str, ...]:
        if job.ranks_per_device > 1:
            return ("split",)
        # Zero-copy results are written for the combine that comes next, into what a dispatch before it overwrites.
        return ("fused", "split") if job.variants.get("zero_copy") == "on" else ("pair", "fused", "split")

    @classmethod
    def facts(cls) -> list[str]:
        facts = [f"deep_ep: {_version('deep_ep') or 'version unknown (not installed as a package)'}"]
        for package in ("nvidia-nvshmem-cu13", "nvidia-nvshmem-cu12"):
            if _version(package):
                facts.append(f"{package}: {_version(package)}")
        return facts + [f"torch: {torch.__version__}"]

    def set_up(self, world: World) -> None:
        job = self.job = world.job
        self.fp8 = job.dispatch_format != "bf16"
        self.zero_copy = job.variants.get("zero_copy") == "on"
        buffer = _library().Buffer
        self.buffer_bytes = buffer.get_low_latency_rdma_size_hint(
            job.max_tokens, job.hidden, job.num_ranks, job.num_experts
        )
        self.buffer = buffer(
            world.group,
            num_rdma_bytes=self.buffer_bytes,
            low_latency_mode=True,
            num_qps_per_rank=job.experts_per_rank,
            allow_nvlink_for_low_latency_mode=job.variants.get("nvlink", "on") == "on",
            explicitly_destroy=True,
        )
        slots = (job.experts_per_rank, job.num_ranks * job.max_tokens, job.hidden)
        self.results = torch.zeros(slots, dtype=torch.bfloat16, device=world.device)

    def dispatch(self, batch: Batch) -> None:
        self._dispatch(batch, hook=False)

    def dispatch_send(self, batch: Batch) -> None:
        self.hook = self._dispatch(batch, hook=True)

    def dispatch_recv(self) -> None:
        self.hook()

    def _dispatch(self, batch: Batch, hook: bool) -> Callable[[], None]:
        self.received_x, self.count, self.handle, _, receive = self.buffer.low_latency_dispatch(
            batch.x,
            batch.topk_idx,
            self.job.max_tokens,
            self.job.num_experts,
            use_fp8=self.fp8,
            round_scale=self.job.dispatch_format in ("fp8_pow2", "fp8_ue8m0"),
            use_ue8m0=self.job.dispatch_format == "fp8_ue8m0",
            return_recv_hook=hook,
        )
        return receive

    def received(self) -> epskew.Received:
        source_token, layout_range = self.handle[:2]  # [L, R*M], [L, R]
        count = self.count.cpu().numpy()
        self.valid = self._valid_slots(count)
        rows, scales = self.received_x if self.fp8 else (self.received_x, None)
        layout = layout_range.cpu().numpy()
        return epskew.Received(
            row_bits(rows.flatten(0, 1)[self.valid]),
            count,
            layout >> 32,
            layout & _LOW_HALF,
            source_token.flatten()[self.valid].cpu().numpy(),
            scales=None if scales is None else self._scales(scales, self.valid).cpu().numpy(),
        )

    def experts(self, rows: np.ndarray) -> torch.Tensor:
        return self._put(self.valid, bf16_tensor(rows, self.count.device))

    def experts_on_device(self, factors: torch.Tensor) -> torch.Tensor:
        valid = self._valid_slots(self.count.cpu().numpy())
        expert, slot = self._expert_and_slot(valid)
        if self.fp8:
            rows, scales = self.received_x
            codes = rows.view(torch.uint8)[expert, slot].view(rows.dtype)
            groups = codes.float().view(len(valid), self.job.hidden // 128, 128)
            values = (groups * self._scale_values(scales, valid).unsqueeze(-1)).flatten(1).bfloat16()
        else:
            values = self.received_x[expert, slot]
        return self._put(valid, (values.float() * factors[expert].unsqueeze(1)).bfloat16())

    def _put(self, valid: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """The results in the library's own slots [L, R*M, H]; the other slots hold what nobody may read."""
        place = self.buffer.get_next_low_latency_combine_buffer(self.handle) if self.zero_copy else self.results
        place[self._expert_and_slot(valid)] = values
        # With zero-copy the library looks at its shape only.
        return self.results

    def _expert_and_slot(self, valid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        per_expert = self.job.num_ranks * self.job.max_tokens
        return valid // per_expert, valid % per_expert

    def combine(self, batch: Batch, results: torch.Tensor) -> None:
        self._combine(batch, results, hook=False)

    def combine_send(self, batch: Batch, results: torch.Tensor) -> None:
        self.hook = self._combine(batch, results, hook=True)

    def combine_recv(self) -> None:
        self.hook()

    def combined(self) -> torch.Tensor:
        return self.out

    def _combine(self, batch: Batch, results: torch.Tensor, hook: bool) -> Callable[[], None]:
        self.out, _, receive = self.buffer.low_latency_combine(
            results,
            batch.topk_idx,
            batch.topk_weights,
            self.handle,
            use_logfmt=self.job.combine_format == "logfmt10",
            zero_copy=self.zero_copy,
            return_recv_hook=hook,
        )
        return receive

    def memory_bytes(self) -> int | None:
        return int(self.buffer_bytes)

    def tear_down(self) -> None:
        self.buffer.destroy()

    def _valid_slots(self, count: np.ndarray) -> torch.Tensor:
        """Which of the L * R*M slots hold a row, ascending: the first count[e] of every expert."""
        per_expert = self.job.num_ranks * self.job.max_tokens
        slots = np.concatenate([expert * per_expert + np.arange(n) for expert, n in enumerate(count)])
        return torch.from_numpy(slots.astype(np.int64)).to(self.count.device)

    def _scales(self, scales: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """[n, H / 128]; packed exponents come as four to an int32."""
        mine = scales[self._expert_and_slot(valid)].contiguous()
        return mine.view(torch.uint8) if self.job.dispatch_format == "fp8_ue8m0" else mine

    def _scale_values(self, scales: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """The same as float32."""
        mine = self._scales(scales, valid)
        return (mine.int() << 23).view(torch.float32) if mine.dtype == torch.uint8 else mine
