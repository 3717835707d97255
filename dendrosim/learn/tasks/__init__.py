"""The benchmark tasks of the papers: generated, read from published files, or downloaded.

A task has a training, a validation and a test part.  Random numbers depend only on a position and a
seed (`dendrosim.learn.tasks.stream`), so they are the same on every machine.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.learn.tasks import (
    binary_adding,
    copy_task,
    digits,
    fsdd,
    gsc,
    heidelberg,
    mnist,
    noisy_copy,
)
from dendrosim.learn.tasks.builder import Builder
from dendrosim.learn.tasks.task import Split, Task

#: Name to the builder of the task.
TASKS: Mapping[str, Builder] = MappingProxyType(
    {
        builder.name: builder
        for builder in (
            binary_adding.BUILDER,
            copy_task.BUILDER,
            noisy_copy.BUILDER,
            *mnist.BUILDERS,
            digits.BUILDER,
            gsc.BUILDER,
            *heidelberg.BUILDERS,
            fsdd.BUILDER,
        )
    }
)


def load_task(
    name: str, *, data: str | os.PathLike | None = None, seed: int = 0, **options: Any
) -> Task:
    """Return a task.

    Parameters
    ----------
    name
        A name in `TASKS`.
    data
        Folder or archive with the published files, if the task needs any; by default they are
        downloaded once.
    seed
        Seed of generated samples, and of the choice of validation samples.
    options
        Options of the task; ``TASKS[name].options`` has their defaults.

    Returns
    -------
    Task

    Raises
    ------
    DendrosimError
        If the task or an option is unknown, or if data are missing or wrong (with the file).
    """
    if not isinstance(name, str) or name not in TASKS:
        raise DendrosimError(f"{name!r} is not a task; {did_you_mean(name, TASKS)}")
    return TASKS[name](data=data, seed=seed, **options)


__all__ = ["TASKS", "Builder", "Split", "Task", "load_task"]
