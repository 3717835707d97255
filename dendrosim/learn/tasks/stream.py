"""Random numbers by position: the same on every machine and with every version of numpy.

A task's sample i is a function of the seed, of the split and of i alone.  So a split needs no
memory, has no end, and a batch is the same in whatever order the samples are asked for.
"""

from __future__ import annotations

import hashlib

import numpy as np

Array = np.ndarray

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


class Stream:
    """SplitMix64 (Steele, Lea and Flood 2014, OOPSLA), read at any place.

    Parameters
    ----------
    *name
        What tells this stream from others, such as task, split and seed: text and numbers.
    start
        The state to start from, instead of a name.
    """

    def __init__(self, *name: str | int, start: int | None = None) -> None:
        if start is None:
            text = "/".join(map(str, name))
            start = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
        self._start = np.uint64(start)

    def words(self, rows: Array, n: int) -> Array:
        """Return rows of n words: row i holds the words from ``i*n`` of the stream.

        Parameters
        ----------
        rows
            Which rows, shape (B,), from 0.
        n
            Words a row.

        Returns
        -------
        ndarray
            uint64, shape (B, n), uniform over all 64 bits.
        """
        place = np.asarray(rows, np.uint64)[:, None] * np.uint64(n) + np.arange(n, dtype=np.uint64)
        z = self._start + (place + np.uint64(1)) * _GAMMA  # modulo 2**64, as all that follows
        for shift, factor in _MIX:
            z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
        return z ^ (z >> np.uint64(31))

    def below(self, rows: Array, n: int, bound: int) -> Array:
        """Return rows of n whole numbers from 0 to below `bound`, int64, shape (B, n).

        `bound` is below 2**32; no number is likelier than another by more than 2**-32.
        """
        high = self.words(rows, n) >> np.uint64(32)
        return (high * np.uint64(bound) >> np.uint64(32)).astype(np.int64)

    def orders(self, rows: Array, n: int) -> Array:
        """Return rows that each are a random order of 0 to n - 1, int64, shape (B, n)."""
        return np.argsort(self.words(rows, n), axis=1, kind="stable")
