"""How ranks wait for each other: on the board of their host, or by messages where they live on several."""

from __future__ import annotations

from typing import Any, Iterator

import torch.distributed as dist

from .board import Board


class Meeting:
    def __init__(self, board: Board, group: Any, rank: int, num_ranks: int, in_turns: bool) -> None:
        """in_turns: ranks share a device, so that only one at a time works where that is possible."""
        self.board = board
        self.in_turns = in_turns
        self._group, self._rank, self._num_ranks = group, rank, num_ranks
        self._one_host = len(board.ranks) == num_ranks

    @property
    def one_host(self) -> bool:
        """Whether all ranks read one clock."""
        return self._one_host

    def meet(self) -> None:
        """Waits for all ranks. RankLost."""
        if self._one_host:
            self.board.meet()
        else:
            self.board.enter("waiting")
            dist.barrier(self._group)

    def turns(self, possible: bool) -> Iterator[None]:
        """Yields once: at once, or, where ranks share a device and it is possible, when it is this rank's turn."""
        if not (self.in_turns and possible):
            yield
            return
        for turn in range(self._num_ranks):
            if turn == self._rank:
                yield
            self.meet()

    def collect(self, mine: Any) -> list[Any]:
        """[ranks] what every rank brought. Collective."""
        self.board.enter("collecting")
        everyones: list[Any] = [None] * dist.get_world_size(self._group)
        dist.all_gather_object(everyones, mine, group=self._group)
        return everyones
