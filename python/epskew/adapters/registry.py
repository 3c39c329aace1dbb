"""Finds adapters: our own, those that other packages register, and those named as module:Class."""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points

import epskew

from .adapter import Adapter

#: The entry point group under which any installed package can register an adapter.
GROUP = "epskew.adapters"

_OWN = {
    "torch": "epskew.adapters.torch_alltoall:TorchAdapter",
    "deepep": "epskew.adapters.deepep:DeepEpAdapter",
    "deepep-v2": "epskew.adapters.deepep_v2:DeepEpV2Adapter",
    "epskew": "epskew.adapters.own:EpskewAdapter",
}


def adapter_places() -> dict[str, str]:
    """name → "module:Class" of everything registered; a name of ours cannot be taken."""
    return {point.name: point.value for point in entry_points(group=GROUP)} | _OWN


def find_adapter(name: str) -> type[Adapter]:
    """The class registered as `name`, or named by it as "module:Class". UsageError where there is none."""
    places = adapter_places()
    place = places.get(name, name if ":" in name else None)
    if place is None:
        known = ", ".join(sorted(places))
        raise epskew.UsageError(
            f"--adapter {name} is unknown (nothing of that name is registered); known: {known}, or module:Class"
        )
    module, _, attribute = place.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise epskew.UsageError(
            f"--adapter {name} cannot be loaded ({error}); put its module on the Python path"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Adapter)):
        raise epskew.UsageError(
            f"--adapter {name} is no adapter ({place} is not a subclass of epskew.adapters.Adapter); correct it"
        )
    return found
