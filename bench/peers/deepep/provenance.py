"""What a record of a program in this folder says about its build and machine: the members that every epskew result file has."""
import importlib.metadata
import json

import epskew

_MEMBERS = ("tool", "created", "host", "cpu", "gpu", "driver", "build")
_PACKAGES = ("torch", "deep_ep", "nvidia-nvshmem-cu13")
_SMALLEST = ["--num-processes", "1", "--num-tokens", "4", "--hidden", "128", "--num-experts", "4", "--num-topk", "1",
             "--num-masked", "0", "--iterations", "1", "--warmup", "0", "--passes", "1"]


def versions():
    """package → version; None where it is not installed as a package."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def provenance():
    """As epskew writes it: taken from the record of the smallest run there is, on the CPU."""
    record = json.loads(epskew.run_bench(epskew.plan_bench(_SMALLEST), backend="cpu").json())
    return {name: record[name] for name in _MEMBERS} | {"packages": versions()}
