"""Adapters that do something wrong on purpose. Named as module:Class, so that none of them is ever registered."""

import atexit
import os
import signal
import time

import torch
import torch.distributed as dist

from epskew.adapters.deepep import DeepEpAdapter
from epskew.adapters.torch_alltoall import TorchAdapter

FAULTS = {"fault": "swap (the payloads of two tokens), scale (one of them), drop (a message), combine (a contribution)"}


def swap(rows):
    """The first two rows, unless they are alike."""
    rows[:2] = rows[:2].flip(0)


class FaultyTorch(TorchAdapter):
    """Plants a fault in what the library delivered on rank 1."""

    variants = TorchAdapter.variants | FAULTS

    def dispatch_recv(self):
        super().dispatch_recv()
        if self.world.rank != 1:
            return
        hidden, fault = self.job.hidden, self.job.variants.get("fault")
        payload = hidden * (2 if self.job.dispatch_format == "bf16" else 1)
        if fault == "swap":
            swap(self.rows[:, :payload])
        elif fault == "scale":
            self.rows[0, payload + 3] += 1
        elif fault == "drop":
            # It was announced and never came: its row is what was there before.
            self.rows[-1] = 0

    def combine_recv(self):
        self.pending.wait()
        if self.world.rank == 1 and self.job.variants.get("fault") == "combine":
            self.returned[0] = 0
        super().combine_recv()


class ForgetfulTorch(TorchAdapter):
    """Right in its first operations, as the checks before a timing make them, and then rank 1 saves itself the work."""

    variants = {
        "fault": "dispatch or combine: from the tenth call on it leaves what the last but one made; address: answers by "
        "where the tokens lie, as a captured graph of copies would",
    }

    def set_up(self, world):
        super().set_up(world)
        self.fault = world.job.variants["fault"] if world.rank == 1 else None
        self.calls = {"dispatch": 0, "combine": 0}
        self.kept = {}

    def answer(self, half, computed, where):
        """`computed`, or an earlier answer."""
        self.calls[half] += 1
        if self.fault == "address":
            return self.kept.setdefault((half, where), computed)
        self.kept[half, self.calls[half]] = computed
        return self.kept[half, 8 + self.calls[half] % 2] if self.fault == half and self.calls[half] >= 10 else computed

    def dispatch_send(self, batch):
        super().dispatch_send(batch)
        self.where = batch.x.data_ptr()

    def dispatch_recv(self):
        super().dispatch_recv()
        self.rows = self.answer("dispatch", self.rows, self.where)

    def combine_recv(self):
        super().combine_recv()
        self.out = self.answer("combine", self.out, self.where)


class FaultyDeepEp(DeepEpAdapter):
    """The same on DeepEP's own output, on the last rank, in its fullest expert."""

    variants = DeepEpAdapter.variants | FAULTS

    def set_up(self, world):
        super().set_up(world)
        self.planted = world.job.variants.get("fault") if world.rank == world.num_ranks - 1 else None

    def received(self):
        if self.planted:
            self.plant()
        return super().received()

    def plant(self):
        expert = int(self.count.argmax())
        rows, scales = self.received_x if self.fp8 else (self.received_x, None)
        if self.planted == "swap":
            swap(rows.view(torch.uint8)[expert])
        elif self.planted == "scale":
            scales[expert, 0, 0] *= 2
        elif self.planted == "drop":
            # The last message of that expert: its rank counts one less.
            begin = self.handle[1][expert] >> 32
            last = int(torch.where(self.handle[1][expert] & 0xFFFFFFFF > 0, begin, -1).argmax())
            self.handle[1][expert, last] -= 1
            self.count[expert] -= 1

    def combined(self):
        combined = super().combined()
        if self.planted == "combine":
            combined[0] *= 0.5
        return combined


class ForgetfulDeepEp(DeepEpAdapter):
    """From the tenth dispatch on none of its ranks sends anything; what the ninth delivered lies there still."""

    variants = DeepEpAdapter.variants | {"fault": "dispatch"}
    calls = 0

    def _dispatch(self, batch, hook):
        self.calls += 1
        return super()._dispatch(batch, hook) if self.calls < 10 else lambda: None


class FailingTorch(TorchAdapter):
    """Rank 1 does `act` in its third dispatch, or in set-up."""

    variants = {"act": "die, stop, hang or raise", "at": "dispatch or set-up"}

    def set_up(self, world):
        super().set_up(world)
        self.calls = 0
        if self.job.variants.get("at") == "set-up":
            self.act()

    def dispatch(self, batch):
        self.calls += 1
        if self.calls == 3 and self.job.variants.get("at", "dispatch") == "dispatch":
            self.act()
        super().dispatch(batch)

    def act(self):
        if self.world.rank != 1:
            return
        what = self.job.variants["act"]
        if what == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif what == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif what == "hang":
            time.sleep(600)
        else:
            raise ValueError("this adapter is broken")


class ClingingTorch(TorchAdapter):
    """Right, but its processes do not end: rank 1 hangs `in` what comes after the work; fail=yes: after an error."""

    variants = {"in": "exit (what Python runs at its end) or group (destroy_process_group)", "fail": "yes: set-up raises"}

    def set_up(self, world):
        super().set_up(world)
        if world.rank == 1 and self.job.variants["in"] == "exit":
            atexit.register(time.sleep, 600)
        elif world.rank == 1:
            dist.destroy_process_group = lambda: time.sleep(600)
        if self.job.variants.get("fail") == "yes":
            raise ValueError("this adapter is broken")
