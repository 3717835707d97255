"""Builders of tasks: declared sizes, options, and checks of the options."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.learn.tasks.task import Split, Task


@dataclass(frozen=True)
class Parts:
    """The result of a builder: sizes, the three splits and facts for the log."""

    n_in: int
    n_out: int
    steps: int
    train: Split
    validation: Split
    test: Split
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Builder:
    """Description and constructor of a task.

    Attributes
    ----------
    name, title, reference
        As in `Task`.
    shape
        ``steps``, ``n_in`` and ``n_out`` with the default options.
    samples
        ``train``, ``validation`` and ``test`` with the default options.
    data
        Required ``data``; empty if the samples are generated or included in a package.
    make
        Creates the parts from ``data``, ``seed`` and the options, all by keyword.
    """

    name: str
    title: str
    reference: str
    shape: tuple[int, int, int]
    samples: tuple[int, int, int]
    data: str
    make: Callable[..., Parts]

    @property
    def options(self) -> dict[str, Any]:
        """Option to default."""
        parameters = inspect.signature(self.make).parameters
        return {k: p.default for k, p in parameters.items() if k not in ("data", "seed")}

    def __call__(
        self, *, data: str | os.PathLike | None = None, seed: int = 0, **options: Any
    ) -> Task:
        """Create the task; see `dendrosim.learn.tasks.load_task`."""
        for name in options:
            if name not in self.options:
                raise DendrosimError(
                    f"task {self.name} has no option {name!r}; {did_you_mean(name, self.options)}"
                )
        if data is not None and not self.data:
            raise DendrosimError(f"task {self.name} needs no data, but was given data = {data}")
        whole(f"task {self.name}: seed", seed, least=0, most=2**63 - 1)
        options = self.options | options
        made = self.make(data=data, seed=seed, **options)
        sizes = {name: len(getattr(made, name)) for name in ("train", "validation", "test")}
        return Task(
            name=self.name,
            title=self.title,
            reference=self.reference,
            n_in=made.n_in,
            n_out=made.n_out,
            steps=made.steps,
            train=made.train,
            validation=made.validation,
            test=made.test,
            facts={"task": self.name, "seed": seed, "options": options, **sizes, **made.facts},
        )


def whole(where: str, value: Any, least: int, most: int | None = None) -> int:
    """Return a whole number after checking its range.

    Raises
    ------
    DendrosimError
        If it is not a whole number from `least` to `most`.
    """
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= least
    if not fits or (most is not None and value > most):
        top = "" if most is None else f" to {most}"
        raise DendrosimError(f"{where} = {value!r} should be a whole number from {least}{top}")
    return value


def choice(where: str, value: Any, valid: Mapping[str, Any]) -> Any:
    """Return the value that belongs to a name.

    Raises
    ------
    DendrosimError
        If it is not a name in `valid`.
    """
    if not isinstance(value, str) or value not in valid:
        raise DendrosimError(f"{where} = {value!r} is unknown; {did_you_mean(value, valid)}")
    return valid[value]
