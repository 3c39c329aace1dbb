"""The adapters of DeepEP on fakes of it in host memory: what they call, and what they make of the answer."""

import pathlib
import sys
from dataclasses import replace
from unittest import mock

import torch.distributed as dist

from epskew.adapters import Adapter, deepep_v2
from epskew.adapters.deepep import DeepEpAdapter
from epskew.adapters.deepep_v2 import DeepEpV2Adapter
from epskew.adapters.fp8 import has_float8
from faulty import FaultyDeepEp, ForgetfulDeepEp

FAKES = pathlib.Path(__file__).resolve().parent / "fakes"


def load_fake(version):
    sys.path.insert(0, str(FAKES / version))


class OnHost:
    """Says that it can run, and what it can do, as if the host were a GPU."""

    @classmethod
    def unusable(cls):
        return None

    @classmethod
    def unsupported(cls, job):
        return super().unsupported(replace(job, device="cuda", ranks_per_device=1))


class DeepEpOnHost(OnHost, DeepEpAdapter):
    if not has_float8():  # nothing there knows what its codes mean
        experts_on_device = Adapter.experts_on_device

    def set_up(self, world):
        load_fake("v1")
        super().set_up(world)


class FaultyDeepEpOnHost(FaultyDeepEp, DeepEpOnHost):
    pass


class ForgetfulDeepEpOnHost(ForgetfulDeepEp, DeepEpOnHost):
    pass


class DeepEpV2OnHost(OnHost, DeepEpV2Adapter):
    @classmethod
    def unsupported(cls, job):
        # Where torch has no float8, rows travel as epskew's codes.
        with mock.patch.object(deepep_v2, "has_float8", return_value=True):
            return super().unsupported(job)

    @classmethod
    def facts(cls):
        return ["deep_ep: a fake"]

    def set_up(self, world):
        load_fake("v2")
        groups = []

        def new_group(backend):
            groups.append(backend)
            return world.group

        with mock.patch.object(dist, "new_group", new_group):
            super().set_up(world)
        assert groups == ["nccl"]
