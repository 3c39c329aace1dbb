"""Adapters to expert-parallel libraries: what an adapter is, and how to find one. docs/adapters.md shows how to write one."""

from .adapter import Adapter, Batch, Job, World
from .registry import GROUP, adapter_places, find_adapter

__all__ = ["GROUP", "Adapter", "Batch", "Job", "World", "adapter_places", "find_adapter"]
