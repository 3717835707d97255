"""The tasks that the papers measure by: generated, read from published files, or downloaded.

A task has a train, a validation and a test part.  What is drawn at random is drawn by position from
a seed (`dendrosim.learn.tasks.stream`), so it is the same on every machine.
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

#: Name to what makes the task.
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
        Folder or archive with the published files, where the task has such; by default they are
        downloaded once.
    seed
        Of what is drawn: generated samples, and which training samples are for validation.
    options
        Of the task; ``TASKS[name].options`` has their defaults.

    Returns
    -------
    Task

    Raises
    ------
    DendrosimError
        For an unknown task or option, and for data that are missing or wrong, by file.
    """
    if not isinstance(name, str) or name not in TASKS:
        raise DendrosimError(f"{name!r} is not a task; {did_you_mean(name, TASKS)}")
    return TASKS[name](data=data, seed=seed, **options)


__all__ = ["TASKS", "Builder", "Split", "Task", "load_task"]
