"""DeepEP v1.2.1 in host memory, as far as its low-latency mode goes: the library's own signatures, layouts and checks.

Ranks leave what they send in a folder, so that a send half returns without its peers, as the library's does. Sources come
in an order of their own in every dispatch. LogFMT is accepted and travels as bf16, whose rounding lies within its bounds.
"""

import pathlib
import shutil
import tempfile
import time

import numpy as np
import torch
import torch.distributed as dist

import epskew
from epskew.adapters.bits import bf16_bits, bf16_tensor

LIMIT_S = 60


class EventOverlap:
    pass


class Buffer:
    def __init__(self, group, num_nvl_bytes=0, num_rdma_bytes=0, low_latency_mode=False, num_qps_per_rank=24,
                 allow_nvlink_for_low_latency_mode=True, allow_mnnvl=False, explicitly_destroy=False, comm=None):
        assert low_latency_mode and explicitly_destroy and comm is None
        self.rank, self.size, self.num_rdma_bytes = group.rank(), group.size(), num_rdma_bytes
        self.local_experts = num_qps_per_rank  # the mode needs as many
        places = [tempfile.mkdtemp(prefix="fake-deep-ep-") if self.rank == 0 else None]
        dist.broadcast_object_list(places, src=0, group=group)
        self.folder = pathlib.Path(places[0])
        self.operations, self.zero_copies = 0, {}

    @staticmethod
    def get_low_latency_rdma_size_hint(num_max_dispatch_tokens_per_rank, hidden, num_ranks, num_experts):
        return num_max_dispatch_tokens_per_rank * hidden * num_experts * 4

    def low_latency_dispatch(self, x, topk_idx, num_max_dispatch_tokens_per_rank, num_experts,
                             cumulative_local_expert_recv_stats=None, dispatch_wait_recv_cost_stats=None, use_fp8=True,
                             round_scale=False, use_ue8m0=False, async_finish=False, return_recv_hook=False):
        assert x.dim() == 2 and x.is_contiguous() and x.dtype == torch.bfloat16 and x.size(1) % 128 == 0
        assert topk_idx.dtype == torch.int64 and topk_idx.is_contiguous() and len(x) == len(topk_idx)
        assert len(x) <= num_max_dispatch_tokens_per_rank and num_experts == self.local_experts * self.size
        assert not (async_finish and return_recv_hook) and (round_scale or not use_ue8m0)
        operation = self._post(x=bf16_bits(x), topk_idx=topk_idx.numpy())
        most, hidden = num_max_dispatch_tokens_per_rank, x.size(1)
        slots = (self.local_experts, self.size * most)
        bits, tokens = np.zeros((*slots, hidden), np.uint16), np.zeros(slots, np.int32)
        rows = bf16_tensor(bits)
        scales = None
        if use_fp8:
            rows = torch.zeros(*slots, hidden, dtype=getattr(torch, "float8_e4m3fn", torch.uint8))
            # Stored with the row as the fastest index, returned transposed.
            shape = (slots[0], hidden // 512, slots[1]) if use_ue8m0 else (slots[0], hidden // 128, slots[1])
            scales = torch.zeros(shape, dtype=torch.int32 if use_ue8m0 else torch.float32).transpose(1, 2)
        count = torch.zeros(self.local_experts, dtype=torch.int32)
        ranges = torch.zeros(self.local_experts, self.size, dtype=torch.int64)
        source_token = torch.from_numpy(tokens)

        def receive():
            for step in range(self.size):
                source = (operation + step) % self.size
                sent = self._wait(operation, source)
                for expert in range(self.local_experts):
                    mine = np.flatnonzero((sent["topk_idx"] == self.rank * self.local_experts + expert).any(axis=1))
                    begin = int(count[expert])
                    place = slice(begin, begin + len(mine))
                    ranges[expert, source] = begin << 32 | len(mine)
                    source_token[expert, place] = torch.from_numpy(mine.astype(np.int32))
                    count[expert] += len(mine)
                    arrived = sent["x"][mine]
                    if not use_fp8:
                        rows[expert, place] = bf16_tensor(arrived)
                        continue
                    codes, factors = epskew.quantise_fp8(arrived, power_of_two=round_scale)
                    rows.view(torch.uint8)[expert, place] = torch.from_numpy(codes)
                    if use_ue8m0:
                        factors = np.ascontiguousarray(factors.view(np.uint32) >> 23).astype(np.uint8).view(np.int32)
                    scales[expert, place] = torch.from_numpy(factors)

        handle = (source_token, ranges, most, hidden, num_experts)
        if not return_recv_hook:
            receive()
        return (rows, scales) if use_fp8 else rows, count, handle, EventOverlap(), receive if return_recv_hook else None

    def get_next_low_latency_combine_buffer(self, handle):
        source_token, _, _, hidden, _ = handle
        # A slot is longer than its row.
        slots = torch.zeros(*source_token.shape, hidden + hidden // 64, dtype=torch.bfloat16)
        self.zero_copies[self.operations] = slots[:, :, hidden // 64 :]
        return self.zero_copies[self.operations]

    def low_latency_combine(self, x, topk_idx, topk_weights, handle, use_logfmt=False, zero_copy=False, async_finish=False,
                            return_recv_hook=False, out=None, combine_wait_recv_cost_stats=None):
        source_token, ranges, most, hidden, num_experts = handle
        assert x.dtype == torch.bfloat16 and x.is_contiguous()
        assert tuple(x.shape) == (self.local_experts, self.size * most, hidden)
        assert topk_weights.dtype == torch.float32 and topk_weights.shape == topk_idx.shape
        assert not (use_logfmt and zero_copy) and not (async_finish and return_recv_hook)
        results = self.zero_copies.pop(self.operations).contiguous() if zero_copy else x
        operation = self._post(x=bf16_bits(results), source_token=source_token.numpy(), ranges=ranges.numpy())
        combined = torch.zeros(len(topk_idx), hidden, dtype=torch.bfloat16) if out is None else out

        def receive():
            contributions = {}  # (token, expert) → row
            for source in range(self.size):
                sent = self._wait(operation, source)
                for expert in range(self.local_experts):
                    begin, rows = divmod(int(sent["ranges"][expert, self.rank]), 1 << 32)
                    for row in range(begin, begin + rows):
                        key = int(sent["source_token"][expert, row]), source * self.local_experts + expert
                        contributions[key] = sent["x"][expert, row]
            for token, experts in enumerate(topk_idx.tolist()):
                sums = torch.zeros(hidden)
                for slot, expert in enumerate(experts):
                    if expert >= 0:
                        sums += topk_weights[token, slot] * bf16_tensor(contributions[token, expert]).float()
                combined[token] = sums.to(torch.bfloat16)

        if not return_recv_hook:
            receive()
        return combined, EventOverlap(), receive if return_recv_hook else None

    def destroy(self):
        dist.barrier()
        if self.rank == 0:
            shutil.rmtree(self.folder)

    def _post(self, **arrays):
        self.operations += 1
        draft = self.folder / f"draft-{self.rank}.npz"
        np.savez(draft, **arrays)
        draft.rename(self._file(self.operations, self.rank))
        # Whoever has come here has read what came before the last operation.
        self._file(self.operations - 2, self.rank).unlink(missing_ok=True)
        return self.operations

    def _wait(self, operation, source):
        file, deadline = self._file(operation, source), time.monotonic() + LIMIT_S
        while not file.exists():
            assert time.monotonic() < deadline, f"nothing came from rank {source}"
            time.sleep(0.001)
        return np.load(file)

    def _file(self, operation, rank):
        return self.folder / f"{operation}-{rank}.npz"
