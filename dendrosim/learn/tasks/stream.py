"""Random numbers by position: the same on every machine and with every version of numpy.

Sample i of a task depends only on the seed, the split and i.  Therefore a split stores no samples
and has no end, and a batch does not depend on the order of requests.
"""

from __future__ import annotations

import hashlib

import numpy as np

Array = np.ndarray

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


class Stream:
    """SplitMix64 (Steele, Lea and Flood 2014, OOPSLA) with random access.

    Parameters
    ----------
    *name
        Identity of this stream, such as task, split and seed: texts and numbers.
    start
        Initial state, instead of a name.
    """

    def __init__(self, *name: str | int, start: int | None = None) -> None:
        if start is None:
            text = "/".join(map(str, name))
            start = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
        self._start = np.uint64(start)

    def words(self, rows: Array, n: int) -> Array:
        """Return rows of n words: row i contains the words from position ``i*n`` of the stream.

        Parameters
        ----------
        rows
            Row numbers, shape (B,), from 0.
        n
            Words per row.

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
        """Return rows of n whole numbers from 0 to `bound` - 1, int64, shape (B, n).

        `bound` is below 2**32; probabilities differ by at most 2**-32.
        """
        high = self.words(rows, n) >> np.uint64(32)
        return (high * np.uint64(bound) >> np.uint64(32)).astype(np.int64)

    def orders(self, rows: Array, n: int) -> Array:
        """Return rows with a random permutation of 0 to n - 1 each, int64, shape (B, n)."""
        return np.argsort(self.words(rows, n), axis=1, kind="stable")
