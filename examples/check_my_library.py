"""Is my exchange right? epskew's oracle makes the inputs and checks dispatch and combine; here on a toy in numpy."""

import numpy as np

import epskew

HIDDEN = 256
routing = epskew.routing(num_processes=4, num_tokens=16, num_experts=16, num_topk=4, imbalance_factor=2.0)
oracle = epskew.Oracle(routing, HIDDEN, dispatch="bf16")


def my_dispatch(rank):
    """Rows for the experts of `rank`: by expert, in each by source rank. Put your library here."""
    count = np.zeros((routing.experts_per_rank, routing.num_ranks), int)
    rows, tokens = [], []
    for expert in range(routing.experts_per_rank):
        for source in range(routing.num_ranks):
            sent = oracle.input(source)
            chosen = np.flatnonzero((sent.topk_idx == rank * routing.experts_per_rank + expert).any(axis=1))
            count[expert, source] = len(chosen)
            rows.append(sent.x[chosen])
            tokens.append(chosen)
    begin = count.cumsum(axis=1) - count
    return epskew.Received(np.concatenate(rows), count.sum(axis=1), begin, count, np.concatenate(tokens))


def my_combine(rank, results):
    """The tokens of `rank`: what its experts answered, summed with the weights. Put your library here."""
    sent = oracle.input(rank)
    sums = np.zeros((len(sent.x), HIDDEN), np.float32)
    for token, slot in np.argwhere(sent.topk_idx >= 0):
        sums[token] += sent.topk_weights[token, slot] * results[sent.topk_idx[token, slot], rank, token]
    return epskew.to_bfloat16(sums)


results = {}
for rank in range(routing.num_ranks):
    received = my_dispatch(rank)
    oracle.check_dispatch(rank, received).require("my dispatch")  # epskew.WrongResult says where and what
    answers = iter(epskew.to_float32(oracle.expert_output(rank, received)))
    for expert in range(rank * routing.experts_per_rank, (rank + 1) * routing.experts_per_rank):
        for source in range(routing.num_ranks):
            for token in np.flatnonzero((oracle.input(source).topk_idx == expert).any(axis=1)):
                results[expert, source, token] = next(answers)
for rank in range(routing.num_ranks):
    oracle.check_combine(rank, my_combine(rank, results)).require("my combine")
print(f"right on all {routing.num_ranks} ranks; the factor was {routing.factor:.2f}")
