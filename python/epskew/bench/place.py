"""Where a rank process stands, from the environment that its starter made."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping

import epskew

#: (rank, size, local rank, local size) as torchrun, Open MPI, and MPICH or Slurm's PMI name them.
_STARTERS = (
    ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"),
    ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"),
)
_DEFAULT_PORT = "29541"


@dataclass(frozen=True)
class Place:
    rank: int
    size: int
    local_rank: int
    local_size: int
    init_method: str  #: for torch.distributed
    folder: Path | None = None  #: of the launcher that started it; None for another starter

    @staticmethod
    def of_launcher(folder: Path) -> Place:
        rank, size = int(os.environ["EPSKEW_RANK"]), int(os.environ["EPSKEW_SIZE"])
        return Place(rank, size, rank, size, f"file://{folder}/store", folder)

    @staticmethod
    def of_starter(environment: Mapping[str, str]) -> Place | None:
        """Of a process of torchrun or mpirun; None outside of both. UsageError where they do not say enough."""
        for names in _STARTERS:
            if names[0] in environment and names[1] in environment:
                return Place(*_numbers(environment, names), _init_method(environment))
        return None


def is_of_starter(environment: Mapping[str, str]) -> bool:
    """Whether torchrun or mpirun started this process."""
    return any(names[0] in environment and names[1] in environment for names in _STARTERS)


def _numbers(environment: Mapping[str, str], names: tuple[str, ...]) -> tuple[int, int, int, int]:
    rank, size = int(environment[names[0]]), int(environment[names[1]])
    if names[2] in environment and names[3] in environment:
        return rank, size, int(environment[names[2]]), int(environment[names[3]])
    if "MASTER_ADDR" in environment:
        raise epskew.UsageError(
            f"{names[2]} and {names[3]} are not set (they say which device a rank takes); set them in every process"
        )
    return rank, size, rank, size


def _init_method(environment: Mapping[str, str]) -> str:
    if "TORCHELASTIC_RUN_ID" in environment:
        return "env://"
    address = environment.get("MASTER_ADDR", "127.0.0.1")
    return f"tcp://{address}:{environment.get('MASTER_PORT', _DEFAULT_PORT)}"
