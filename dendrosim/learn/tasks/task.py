"""A task and its three splits of samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dendrosim.errors import DendrosimError
from dendrosim.learn.tasks.stream import Stream

Array = np.ndarray
Batch = tuple[Array, Array]
#: Target of a step that is not scored.
UNSCORED = -1


class Split(ABC):
    """Samples that are converted to float32 batch by batch, and stored in compact form.

    Attributes
    ----------
    endless
        Whether `batch` accepts every index from 0: epoch k then consists of the samples from
        ``k*len(split)`` to ``(k + 1)*len(split)``, which are all new.
    """

    endless: bool = False

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of samples (for an endless split, per epoch)."""

    @abstractmethod
    def batch(self, indices: Array) -> Batch:
        """Return samples.

        Parameters
        ----------
        indices
            Sample numbers, shape (B,), whole numbers from 0.

        Returns
        -------
        x : ndarray
            float32, shape (B, steps, n_in).
        y : ndarray
            int64: shape (B,) for one class per sample, or (B, steps) for one class per step, with
            -1 for steps that are not scored.
        """


class Stored(Split):
    """Samples stored in an array.

    Parameters
    ----------
    x
        Shape (samples, steps, n_in), of any type.
    y
        Class of each sample, shape (samples,).
    scale
        Value in `x` that is scaled to 1.0.
    """

    def __init__(self, x: Array, y: ArrayLike, scale: float = 1.0) -> None:
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
        The original split.
    indices
        Sample numbers in that split.
    """

    def __init__(self, split: Split, indices: Array) -> None:
        self.split, self.indices = split, indices

    def __len__(self) -> int:
        return len(self.indices)

    def batch(self, indices: Array) -> Batch:
        """Return samples; see `Split.batch`."""
        return self.split.batch(self.indices[indices])


class Later(Split):
    """Samples that are loaded at the first batch.

    Parameters
    ----------
    length
        Number of samples.
    read
        Function that loads them.
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
    """A benchmark task: data to train on and to test.

    Attributes
    ----------
    name, title, reference
        Short name, one line, and the source.
    n_in, n_out, steps
        Number of input channels, of classes, and of steps per sample.
    train, validation, test
        The splits; no test sample is computed before the first test batch.
    facts
        Sizes, seed, options and checksums, as plain JSON values.
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
    """Return samples after checking them against the declaration of their task.

    Raises
    ------
    DendrosimError
        With the task, the actual and the required value.
    """
    x, target = batch
    if x.shape[1:] != (task.steps, task.n_in):
        raise DendrosimError(
            f"{task.name}: its samples have shape {x.shape[1:]}, but the task declares "
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
    """Return indices as int64, shape (B,); they must be from 0 to `length` - 1.

    Raises
    ------
    IndexError
        If an index is outside; without a `length`, only if it is negative.
    """
    indices = np.asarray(indices, dtype=np.int64).reshape(-1)
    if indices.size and (indices.min() < 0 or (length is not None and indices.max() >= length)):
        raise IndexError(f"samples {indices.min()} to {indices.max()} of a split of {length}")
    return indices


def set_apart(labels: Array, n: int, stream: Stream) -> tuple[Array, Array]:
    """Draw n samples with the class proportions of all samples, up to rounding.

    Parameters
    ----------
    labels
        Class of each sample.
    n
        Number of samples to draw.
    stream
        Source of random numbers.

    Returns
    -------
    rest, drawn : ndarray
        Indices, ascending; together they contain every sample once.
    """
    labels = np.asarray(labels)
    shuffled = stream.orders(np.zeros(1, np.int64), len(labels))[0]
    place = np.empty(len(labels))
    for label in np.unique(labels):
        of_class = shuffled[labels[shuffled] == label]
        # the k-th of a class is at (k + 1/2)/size: the first n then have the right proportions
        place[of_class] = (np.arange(len(of_class)) + 0.5) / len(of_class)
    order = shuffled[np.argsort(place[shuffled], kind="stable")]
    return np.sort(order[n:]), np.sort(order[:n])
