"""What a rank sends and what its experts answer: other data in every operation, in memory that stays where it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import epskew
from epskew.adapters import Adapter, Batch
from epskew.adapters.bits import bf16_bits, bf16_tensor


class Traffic:
    """Of one rank in one round. A library that keeps answers, by address or otherwise, is wrong from the second on."""

    def __init__(self, adapter: Adapter, rank: int, device: torch.device) -> None:
        self._adapter, self._rank, self._device = adapter, rank, device
        self._given: Batch | None = None

    @property
    def batch(self) -> Batch:
        """What the next operation exchanges."""
        assert self._given is not None
        return self._given

    def renew(self, oracle: epskew.Oracle) -> None:
        """Gives the library data that no operation before had."""
        oracle.renew()
        self.send(oracle)

    def send(self, oracle: epskew.Oracle) -> None:
        """Gives the library the data that the oracle has now."""
        sent = oracle.input(self._rank)
        fresh = Batch(bf16_tensor(sent.x), _copied(sent.topk_idx), _copied(sent.topk_weights))
        if self._given is None:
            self._given = Batch(*(part.to(self._device, copy=True) for part in _parts(fresh)))
        for mine, new in zip(_parts(self._given), _parts(fresh)):
            mine.copy_(new)
        self._adapter.prepare(self._given)

    def send_zeros(self) -> None:
        """Tokens and weights of zero, with which an operation leaves nothing behind that would be right later."""
        self.batch.x.zero_()
        self.batch.topk_weights.zero_()
        self._adapter.prepare(self.batch)

    def experts(self, oracle: epskew.Oracle) -> Any:
        """What combine gets, made of the latest dispatch; on the device where the adapter can."""
        if type(self._adapter).experts_on_device is Adapter.experts_on_device:
            return self._adapter.experts(oracle.expert_output(self._rank, self._adapter.received()))
        factors = torch.from_numpy(np.array(oracle.expert_factors(self._rank)))
        return self._adapter.experts_on_device(factors.to(self._device))

    def wrong_dispatch(self, oracle: epskew.Oracle) -> str | None:
        """What is wrong with the latest dispatch, in words."""
        return finding(oracle.check_dispatch(self._rank, self._adapter.received()))

    def wrong_combine(self, oracle: epskew.Oracle) -> str | None:
        """The same of the latest combine."""
        return finding(oracle.check_combine(self._rank, bf16_bits(self._adapter.combined())))


def _parts(batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return batch.x, batch.topk_idx, batch.topk_weights


def _copied(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(array))


def finding(report: epskew.OracleReport) -> str | None:
    """What the oracle found, in words; None where all is right."""
    return None if report else report.message
