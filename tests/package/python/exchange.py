"""A right exchange in plain numpy, to be spoilt: what a library would deliver, in each layout that the oracle takes."""

import numpy as np

import epskew


class Delivery:
    """What one rank received: slots [L, S, H]. Change the arrays, then take received()."""

    def __init__(self, oracle, routing, rank, hidden, dispatch):
        ranks, experts, slots = routing.num_ranks, routing.experts_per_rank, routing.num_tokens
        bits = np.zeros((experts, slots, hidden), np.uint16)
        self.tokens = np.zeros((experts, slots), np.int32)
        self.counts = np.zeros(experts, np.int32)
        self.begin = np.zeros((experts, ranks), np.int64)
        self.count = np.zeros((experts, ranks), np.int64)
        for expert in range(experts):
            for source in range(ranks):
                self.begin[expert, source] = self.counts[expert]
                given = oracle.input(source)
                for token in np.flatnonzero((given.topk_idx == rank * experts + expert).any(axis=1)):
                    bits[expert, self.counts[expert]] = given.x[token]
                    self.tokens[expert, self.counts[expert]] = token
                    self.counts[expert] += 1
                self.count[expert, source] = self.counts[expert] - self.begin[expert, source]
        self.rows, self.scales = bits, None
        if dispatch != "bf16":
            codes, scales = epskew.quantise_fp8(bits.reshape(-1, hidden), power_of_two=dispatch != "fp8")
            self.rows, self.scales = codes.reshape(bits.shape), scales.reshape(experts, slots, -1)
        if dispatch == "fp8_ue8m0":
            self.scales = (self.scales.view(np.uint32) >> 23).astype(np.uint8)

    def received(self):
        return epskew.Received(self.rows, self.counts, self.begin, self.count, self.tokens, scales=self.scales)

    def packed(self):
        """The same rows without holes."""
        keep = np.arange(self.rows.shape[1]) < self.counts[:, None]
        scales = None if self.scales is None else self.scales[keep]
        return epskew.Received(self.rows[keep], self.counts, self.begin, self.count, self.tokens[keep], scales=scales)

    def rank_major(self):
        """The same rows, stored backwards, with the place of each."""
        keep = np.arange(self.rows.shape[1]) < self.counts[:, None]
        places = np.arange(keep.sum())[::-1].copy()
        rows = np.ascontiguousarray(self.rows[keep][::-1])
        scales = None if self.scales is None else np.ascontiguousarray(self.scales[keep][::-1])
        return epskew.Received(rows, self.counts, self.begin, self.count, self.tokens[keep], scales=scales,
                               storage_row=places)


class Exchange:
    """All ranks of one routing."""

    def __init__(self, routing, hidden, *, dispatch="fp8", combine="bf16", data="exact", seed=3):
        self.routing, self.hidden = routing, hidden
        self.oracle = epskew.Oracle(routing, hidden, dispatch=dispatch, combine=combine, data=data, seed=seed)
        self.deliveries = [Delivery(self.oracle, routing, rank, hidden, dispatch) for rank in range(routing.num_ranks)]

    def combined(self):
        """[rank] the combined tokens as float32."""
        routing = self.routing
        out = [np.zeros((tokens, self.hidden), np.float32) for tokens in routing.tokens_per_rank]
        for rank, delivery in enumerate(self.deliveries):
            results = epskew.to_float32(self.oracle.expert_output(rank, delivery.received()))
            for expert in range(routing.experts_per_rank):
                for source in range(routing.num_ranks):
                    given = self.oracle.input(source)
                    begin = delivery.begin[expert, source]
                    for row in range(begin, begin + delivery.count[expert, source]):
                        token = delivery.tokens[expert, row]
                        slot = list(given.topk_idx[token]).index(rank * routing.experts_per_rank + expert)
                        out[source][token] += given.topk_weights[token, slot] * results[expert, row]
        return out
