"""Several processes that train one network, started by ``torchrun``.

Each process computes a share of every batch, torch's DistributedDataParallel combines the
gradients, and the first process writes the files.  Without ``torchrun`` there is only one process.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch import distributed as dist

from dendrosim.errors import DendrosimError


@dataclass(frozen=True)
class World:
    """The processes of a training run.

    Attributes
    ----------
    rank, size
        Number of this process from 0, and number of processes.
    local_rank
        Number of this process on its machine, which is also that of its GPU.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def share(self, indices: np.ndarray) -> np.ndarray:
        """Return the part of a batch for this process."""
        return indices[self.rank :: self.size]

    def wrap(self, module: nn.Module) -> nn.Module:
        """Return a module with gradients averaged over all processes."""
        if self.size == 1:
            return module
        return nn.parallel.DistributedDataParallel(module)

    def total(self, values: Tensor) -> Tensor:
        """Return the sum over all processes."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def wait(self) -> None:
        """Wait until all processes reach this point."""
        if self.size > 1:
            dist.barrier()


@contextlib.contextmanager
def world(device: str) -> Iterator[World]:
    """Join the processes started by ``torchrun``.

    Parameters
    ----------
    device
        ``"cpu"`` (gloo) or ``"cuda"`` (NCCL).

    Raises
    ------
    DendrosimError
        If the environment variables of ``torchrun`` are invalid.
    """
    size = _number("WORLD_SIZE", 1)
    if size == 1:
        yield World()
        return
    rank, local_rank = _number("RANK", None), _number("LOCAL_RANK", 0)
    if device == "cuda":
        torch.cuda.set_device(local_rank)
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield World(rank, size, local_rank)
    finally:
        dist.destroy_process_group()


def _number(name: str, default: int | None) -> int:
    text = os.environ.get(name)
    if text is None and default is not None:
        return default
    if text is None or not text.isdigit():
        raise DendrosimError(f"{name}={text!r} in the environment is not what torchrun sets")
    return int(text)
