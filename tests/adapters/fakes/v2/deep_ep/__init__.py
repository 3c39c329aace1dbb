"""DeepEP V2 (2.1.0) in host memory, as far as an expanded dispatch and its combine go: the library's own signatures,
layouts and checks. Rows of an expert come in an order of their own in every dispatch; what nobody wrote is NaN."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist

from epskew.adapters.bits import bf16_bits, bf16_tensor

__version__ = "2.1.0"
topk_idx_t = torch.int64


class EventOverlap:
    pass


@dataclass
class EPHandle:
    do_expand: bool
    num_experts: int
    expert_alignment: int
    num_max_tokens_per_rank: int
    num_sms: int
    topk_idx: torch.Tensor
    num_recv_tokens: int
    num_expanded_tokens: int
    num_recv_tokens_per_expert_list: list
    psum_num_recv_tokens_per_scaleup_rank: torch.Tensor
    psum_num_recv_tokens_per_expert: torch.Tensor
    num_unaligned_recv_tokens_per_expert: torch.Tensor
    recv_src_metadata: torch.Tensor
    dst_buffer_slot_idx: torch.Tensor
    token_metadata_at_forward: object
    channel_linked_list: object


class ElasticBuffer:
    def __init__(self, group, num_bytes=None, num_cpu_bytes=0, num_max_tokens_per_rank=0, hidden=0, num_topk=0,
                 use_fp8_dispatch=False, deterministic=False, allow_hybrid_mode=True, allow_multiple_reduction=True,
                 prefer_overlap_with_compute=True, sl_idx=3, num_allocated_qps=0, num_cpu_timeout_secs=300,
                 num_gpu_timeout_secs=100, explicitly_destroy=False):
        assert num_bytes is None and num_max_tokens_per_rank > 0 and hidden > 0 and num_topk > 0
        self.group, self.num_max_tokens_per_rank = group, num_max_tokens_per_rank
        self.rank_idx, self.num_ranks, self.explicitly_destroy = group.rank(), group.size(), explicitly_destroy
        self.calls = 0

    def dispatch(self, x, topk_idx=None, topk_weights=None, cumulative_local_expert_recv_stats=None, num_experts=None,
                 num_max_tokens_per_rank=None, expert_alignment=None, num_sms=0, num_qps=0, previous_event=None,
                 previous_event_before_epilogue=None, async_with_compute_stream=False, allocate_on_comm_stream=False,
                 handle=None, do_handle_copy=True, do_cpu_sync=None, do_expand=False, do_zero_padding=False,
                 use_tma_aligned_col_major_sf=False):
        x, sf = x if isinstance(x, tuple) else (x, None)
        assert handle is None and do_expand and not do_zero_padding and not use_tma_aligned_col_major_sf
        assert x.dim() == 2 and x.is_contiguous() and len(x) == len(topk_idx) <= num_max_tokens_per_rank
        assert topk_idx.dtype == topk_idx_t and topk_idx.is_contiguous() and topk_idx.size(1) <= 32
        assert topk_weights.is_contiguous() and topk_weights.shape == topk_idx.shape
        assert sf is None or (sf.dtype == torch.float32 and len(sf) == len(x))
        self.calls += 1
        mine = _bytes(x), None if sf is None else sf.numpy(), topk_idx.numpy(), topk_weights.numpy()
        arrived = self._gather(mine)
        experts = num_experts // self.num_ranks
        here = [[(source, token) for source, sent in enumerate(arrived)
                 for token in np.flatnonzero((sent[2] == self.rank_idx * experts + expert).any(axis=1))]
                for expert in range(experts)]
        kept = [[token for token in range(len(sent[2])) if (sent[2][token] // experts == self.rank_idx).any()]
                for sent in arrived]
        counts = [len(rows) for rows in here]
        ends = np.cumsum(counts)
        most = self.num_ranks * num_max_tokens_per_rank
        exact = do_cpu_sync is None or do_cpu_sync
        num_tokens = sum(map(len, kept)) if exact else most
        num_rows = int(ends[-1]) if exact else most * min(topk_idx.size(1), experts)
        random = np.random.default_rng((self.calls, self.rank_idx))
        place = {}  # (expert, source, token) → row
        for expert, rows in enumerate(here):
            for (source, token), row in zip(rows, ends[expert] - counts[expert] + random.permutation(counts[expert])):
                place[expert, source, token] = int(row)
        recv = np.full((num_rows, mine[0].shape[1]), 0xFF, np.uint8)
        recv_sf = None if sf is None else np.full((num_rows, sf.size(1)), np.nan, np.float32)
        weights = np.full(num_rows, np.nan, np.float32)
        metadata = np.full((num_tokens, 2 + topk_idx.size(1)), 0x7FFFFFFF, np.int32)
        index = 0
        for source, tokens in enumerate(kept):
            for token in tokens:
                metadata[index, 0], metadata[index, 1] = source * num_max_tokens_per_rank + token, 0
                for slot, expert in enumerate(arrived[source][2][token] - self.rank_idx * experts):
                    row = place.get((int(expert), source, token), -1)
                    metadata[index, 2 + slot] = row
                    if row >= 0:
                        recv[row], weights[row] = arrived[source][0][token], arrived[source][3][token, slot]
                        if sf is not None:
                            recv_sf[row] = arrived[source][1][token]
                index += 1
        integers = lambda values: torch.tensor(np.asarray(values), dtype=torch.int32)
        handle = EPHandle(True, num_experts, expert_alignment or 1, num_max_tokens_per_rank, num_sms or 24, topk_idx.clone(),
                          num_tokens, num_rows, counts if exact else [], integers(np.cumsum([len(each) for each in kept])),
                          integers(ends), integers(counts), torch.from_numpy(metadata), torch.zeros(1), None, None)
        rows = _as(recv, x)
        return (rows if sf is None else (rows, torch.from_numpy(recv_sf)), None, torch.from_numpy(weights), handle,
                EventOverlap())

    def combine(self, x, handle, topk_weights=None, bias=None, num_sms=0, num_qps=0, previous_event=None,
                previous_event_before_epilogue=None, async_with_compute_stream=False, allocate_on_comm_stream=False):
        assert x.dtype == torch.bfloat16 and x.is_contiguous() and topk_weights is None and bias is None
        assert len(x) >= int(handle.psum_num_recv_tokens_per_expert[-1])
        metadata = handle.recv_src_metadata[: int(handle.psum_num_recv_tokens_per_scaleup_rank[-1])].numpy()
        combined = torch.zeros(len(handle.topk_idx), x.size(1))
        # Each rank sums its own experts' rows of a token and sends the sum.
        sums = torch.stack([x[each[each >= 0].tolist()].float().sum(0) for each in metadata[:, 2:]]) if len(metadata) else \
            torch.zeros(0, x.size(1))
        for tokens, rows in self._gather((metadata[:, 0], bf16_bits(sums.to(torch.bfloat16)))):
            mine = tokens // handle.num_max_tokens_per_rank == self.rank_idx
            combined.index_add_(0, torch.from_numpy((tokens[mine] % handle.num_max_tokens_per_rank).astype(np.int64)),
                                bf16_tensor(rows[mine]).float())
        return combined.to(torch.bfloat16), None, EventOverlap()

    def destroy(self):
        assert self.explicitly_destroy

    def _gather(self, mine):
        everyone = [None] * self.num_ranks
        dist.all_gather_object(everyone, mine, group=self.group)
        return everyone


def _bytes(rows):
    return bf16_bits(rows).view(np.uint8) if rows.dtype == torch.bfloat16 else rows.view(torch.uint8).numpy()


def _as(recv, like):
    if like.dtype == torch.bfloat16:
        return bf16_tensor(recv.view(np.uint16))
    return torch.from_numpy(recv).view(like.dtype)
