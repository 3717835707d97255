"""Recall of tokens: shown first, kept through a delay or noise, and recalled in order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dendrosim.learn.tasks.builder import Parts, whole
from dendrosim.learn.tasks.stream import Stream
from dendrosim.learn.tasks.task import Batch, Split, within


class Recall(Split):
    """Sequences of one-hot tokens; new ones in every epoch.

    Parameters
    ----------
    length
        Number of sequences in an epoch.
    endless
        Whether each epoch has new sequences.
    signals
        The channels besides the tokens, the same in every sequence: shape (steps, channels).
    shown
        Number of steps, from the first, at which a token is shown.
    kept
        Indices of the tokens to recall in the last ``len(kept)`` steps.
    alphabet
        Number of different tokens.
    name
        Name of the stream of random numbers.
    """

    def __init__(
        self, length: int, endless: bool, signals: np.ndarray, shown: int,
        kept: Sequence[int] | np.ndarray, alphabet: int, *name: str | int,
    ) -> None:  # fmt: skip
        self.length, self.endless = length, endless
        self.shown, self.kept, self.alphabet = shown, np.array(kept), alphabet
        silent = np.zeros((len(signals), alphabet))
        self._signals = np.hstack([silent, signals]).astype(np.float32)
        self._stream = Stream("tokens", *name)

    def __len__(self) -> int:
        return self.length

    def batch(self, indices: np.ndarray) -> Batch:
        """Return sequences, tokens in the first channels, and the class for every step."""
        indices = within(indices, None if self.endless else self.length)
        tokens = self._stream.below(indices, self.shown, self.alphabet)
        x = np.repeat(self._signals[None], len(indices), axis=0)
        np.put_along_axis(x[:, : self.shown], tokens[:, :, None], 1, axis=2)
        y = np.full(x.shape[:2], -1, np.int64)
        y[:, -len(self.kept) :] = tokens[:, self.kept]
        return x, y


def recall_parts(
    task: str,
    signals: np.ndarray,
    shown: int,
    kept: Sequence[int] | np.ndarray,
    alphabet: int,
    sizes: dict[str, int],
    seed: int,
) -> Parts:
    """Create the three splits of a recall task, each from its own random stream.

    Raises
    ------
    DendrosimError
        If a size is not a whole number from 0.
    """
    train, validation, test = (
        Recall(
            whole(f"task {task}: n_{name}", size, least=0), name == "train", signals, shown, kept,
            alphabet, task, name, seed,
        )
        for name, size in sizes.items()
    )  # fmt: skip
    return Parts(alphabet + signals.shape[1], alphabet, len(signals), train, validation, test)
