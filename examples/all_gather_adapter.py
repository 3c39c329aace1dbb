"""An adapter in 40 lines, explained in docs/adapters.md. Run from this folder:

python -m epskew.bench --adapter all_gather_adapter:AllGatherAdapter --num-processes 2 --dispatch-format bf16
"""

import torch
import torch.distributed as dist

import epskew
from epskew.adapters import Adapter
from epskew.adapters.bits import bf16_tensor, row_bits

class AllGatherAdapter(Adapter):
    @classmethod
    def unsupported(cls, job):
        simple = job.device == "cpu" and job.dispatch_format == "bf16" and job.combine_format == "bf16"
        return None if simple else "it does bf16 on CPUs only; choose --device cpu --dispatch-format bf16"

    def set_up(self, world):
        self.world, self.job = world, world.job

    def gather(self, mine):  # [R * M, ...], rank by rank; zeros where a rank has fewer than M tokens
        padded = mine.new_zeros((self.job.max_tokens, *mine.shape[1:]))
        padded[: len(mine)] = mine
        everyone = [torch.empty_like(padded) for _ in range(self.job.num_ranks)]
        dist.all_gather(everyone, padded, group=self.world.group)
        return torch.cat(everyone)

    def dispatch(self, batch):
        tokens = self.gather(batch.x.view(torch.uint8)).view(torch.bfloat16)  # gloo moves no bf16
        weights, experts = self.gather(batch.topk_weights), self.gather(batch.topk_idx + 1) - 1
        expert = experts - self.world.rank * self.job.experts_per_rank
        token, slot = torch.nonzero((expert >= 0) & (expert < self.job.experts_per_rank), as_tuple=True)
        order = torch.argsort(expert[token, slot], stable=True)
        self.token, self.expert = token[order], expert[token, slot][order]
        self.weights, self.rows = weights[token, slot][order].unsqueeze(1), tokens[self.token]

    def received(self):  # rows grouped by expert, and in each by source rank
        group = self.expert * self.job.num_ranks + self.token // self.job.max_tokens
        count = torch.bincount(group, minlength=self.job.num_experts).view(-1, self.job.num_ranks).numpy()
        begin = count.cumsum(1) - count
        return epskew.Received(row_bits(self.rows), count.sum(1), begin, count, self.token % self.job.max_tokens)

    def experts(self, rows):
        return bf16_tensor(rows)

    def combine(self, batch, results):
        sums = torch.zeros(self.job.num_ranks * self.job.max_tokens, self.job.hidden)
        sums.index_add_(0, self.token, results.float() * self.weights)
        dist.all_reduce(sums, group=self.world.group)
        self.out = sums[self.world.rank * self.job.max_tokens :][: len(batch.x)].to(torch.bfloat16)

    def combined(self):
        return self.out
