"""What a task is: three splits of samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dendrosim.errors import DendrosimError
from dendrosim.learn.tasks.stream import Stream

Array = np.ndarray
Batch = tuple[Array, Array]
#: A step with this target is not scored.
UNSCORED = -1


class Split(ABC):
    """Samples that are made float32 one batch at a time; what is kept between batches is compact.

    Attributes
    ----------
    endless
        Whether `batch` takes every index from 0, however large: then the samples from
        ``k*len(split)`` to ``(k + 1)*len(split)`` are those of epoch k, none of them seen before.
    """

    endless: bool = False

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of samples, of an epoch where there is no end."""

    @abstractmethod
    def batch(self, indices: Array) -> Batch:
        """Return samples.

        Parameters
        ----------
        indices
            Which, shape (B,), whole numbers from 0.

        Returns
        -------
        x : ndarray
            float32, shape (B, steps, n_in).
        y : ndarray
            int64: shape (B,) for a class a sample, or (B, steps) for a class a step, -1 where
            the step is not scored.
        """


class Stored(Split):
    """Samples that lie in an array.

    Parameters
    ----------
    x
        Shape (samples, steps, n_in), of any type.
    y
        Class of each sample, shape (samples,).
    scale
        What 1.0 is in `x`.
    """

    def __init__(self, x: Array, y: Array, scale: float = 1.0) -> None:
        self.x, self.y, self.scale = x, np.asarray(y, dtype=np.int64), np.float32(scale)

    def __len__(self) -> int:
        return len(self.y)

    def batch(self, indices: Array) -> Batch:
        """Return samples; see `Split.batch`."""
        return self.x[indices].astype(np.float32) / self.scale, self.y[indices]


class Part(Split):
    """Some samples of another split.

    Parameters
    ----------
    split
        The other split.
    indices
        Which of its samples.
    """

    def __init__(self, split: Split, indices: Array) -> None:
        self.split, self.indices = split, indices

    def __len__(self) -> int:
        return len(self.indices)

    def batch(self, indices: Array) -> Batch:
        """Return samples; see `Split.batch`."""
        return self.split.batch(self.indices[indices])


class Later(Split):
    """Samples that are read when the first of them is asked for.

    Parameters
    ----------
    length
        How many there will be.
    read
        What reads them.
    """

    def __init__(self, length: int, read: Callable[[], Split]) -> None:
        self.length, self._read = length, read
        self._split: Split | None = None

    def __len__(self) -> int:
        return self.length

    def batch(self, indices: Array) -> Batch:
        """Return samples; see `Split.batch`."""
        if self._split is None:
            self._split = self._read()
        return self._split.batch(indices)


@dataclass(frozen=True)
class Task:
    """Data to learn from.

    Attributes
    ----------
    name, title, reference
        Short name, one line, and the source.
    n_in, n_out, steps
        Input channels, classes, and steps of a sample.
    train, validation, test
        The splits; nothing of the test split is computed before its first batch.
    facts
        Sizes, seed, options and checksums, as plain values that JSON can hold.
    """

    name: str
    title: str
    reference: str
    n_in: int
    n_out: int
    steps: int
    train: Split
    validation: Split
    test: Split
    facts: Mapping[str, Any]


def checked(task: Task, batch: Batch) -> Batch:
    """Return samples, refusing what is not as their task says of itself.

    Raises
    ------
    DendrosimError
        Naming the task, what it gave and what it should.
    """
    x, target = batch
    if x.shape[1:] != (task.steps, task.n_in):
        raise DendrosimError(
            f"{task.name}: its samples have shape {x.shape[1:]}, but the task says "
            f"{(task.steps, task.n_in)}: steps, inputs"
        )
    if not np.isfinite(x).all():
        raise DendrosimError(f"{task.name}: a sample holds a number that is not finite")
    low, high = int(np.min(target)), int(np.max(target))
    if low < UNSCORED or high >= task.n_out:
        raise DendrosimError(
            f"{task.name}: a target of {high if high >= task.n_out else low}, but its classes are "
            f"0 to {task.n_out - 1}, and {UNSCORED} where nothing is scored"
        )
    return batch


def within(indices: Array, length: int | None) -> Array:
    """Return indices as int64, shape (B,), checked as an array would: from 0 to below `length`.

    Raises
    ------
    IndexError
        If one is outside; without a `length`, only below 0.
    """
    indices = np.asarray(indices, dtype=np.int64).reshape(-1)
    if indices.size and (indices.min() < 0 or (length is not None and indices.max() >= length)):
        raise IndexError(f"samples {indices.min()} to {indices.max()} of a split of {length}")
    return indices


def set_apart(labels: Array, n: int, stream: Stream) -> tuple[Array, Array]:
    """Draw n samples, of each class as many as its share is, to a rounding.

    Parameters
    ----------
    labels
        Class of each sample.
    n
        How many are drawn.
    stream
        Where the random numbers come from.

    Returns
    -------
    rest, drawn : ndarray
        Indices, ascending; together all of them.
    """
    labels = np.asarray(labels)
    shuffled = stream.orders(np.zeros(1, np.int64), len(labels))[0]
    place = np.empty(len(labels))
    for label in np.unique(labels):
        of_class = shuffled[labels[shuffled] == label]
        # the k-th of a class stands at (k + 1/2)/size: the first n of all are fair shares
        place[of_class] = (np.arange(len(of_class)) + 0.5) / len(of_class)
    order = shuffled[np.argsort(place[shuffled], kind="stable")]
    return np.sort(order[n:]), np.sort(order[:n])
