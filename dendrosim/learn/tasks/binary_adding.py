"""Binary Adding: count the ones at nine marked positions of a long binary sequence."""

from __future__ import annotations

import numpy as np

from dendrosim.errors import DendrosimError
from dendrosim.learn.tasks.builder import Builder, Parts, whole
from dendrosim.learn.tasks.stream import Stream
from dendrosim.learn.tasks.task import Batch, Split, within

#: Number of marked positions; the label is the number of ones among them.
MARKS = 9
CLASSES = MARKS + 1


class Adding(Split):
    """Sequences with a value and a marker channel; all labels are equally frequent.

    The published generator draws values and markers at random and keeps the same number of
    sequences per label.  A kept sequence with label c has nine distinct random positions, ones at
    c of them, and random bits elsewhere.  Here such sequences are drawn directly.  The
    distribution is the same, without the 80 sequences rejected for each one kept.

    Parameters
    ----------
    length
        Number of sequences.
    steps
        Length of a sequence.
    name
        Name of the stream of random numbers.
    """

    def __init__(self, length: int, steps: int, *name: str | int) -> None:
        self.length, self.steps = length, steps
        self._values, self._places = Stream("values", *name), Stream("places", *name)

    def __len__(self) -> int:
        return self.length

    def batch(self, indices: np.ndarray) -> Batch:
        """Return sequences, x of shape (B, steps, 2), and labels; sample i has label i mod 10."""
        indices = within(indices, self.length)
        label = indices % CLASSES
        x = np.zeros((len(indices), self.steps, 2), np.float32)
        x[:, :, 0] = self._values.words(indices, self.steps) >> np.uint64(63)
        marked = self._places.orders(indices, self.steps)[:, :MARKS]
        np.put_along_axis(x[:, :, 0], marked, np.arange(MARKS) < label[:, None], axis=1)
        np.put_along_axis(x[:, :, 1], marked, 1, axis=1)
        return x, label


def make(
    *,
    data: None,
    seed: int,
    steps: int = 100,
    n_train: int = 50_000,
    n_validation: int = 2_000,
    n_test: int = 2_000,
) -> Parts:
    """Create the splits, each from its own random stream."""
    whole("task binary_adding: steps", steps, least=MARKS, most=1_000_000)
    splits = []
    sizes = {"train": n_train, "validation": n_validation, "test": n_test}
    for name, size in sizes.items():
        where = f"task binary_adding: n_{name}"
        if whole(where, size, least=0) % CLASSES:
            raise DendrosimError(f"{where} = {size} should be a multiple of {CLASSES}, to balance")
        splits.append(Adding(size, steps, "binary_adding", name, seed))
    train, validation, test = splits
    return Parts(2, CLASSES, steps, train, validation, test)


BUILDER = Builder(
    name="binary_adding",
    title="Binary Adding: how many ones are at the nine marked places",
    reference="Ma et al. (2025); Anonymous (2025), LRMM, A.3",
    shape=(100, 2, CLASSES),
    samples=(50_000, 2_000, 2_000),
    data="",
    make=make,
)
